// 查询语句有什么问题，按服务器给出的代号。
import type { query as english } from "../en/query";

export const query: Record<keyof typeof english, string> = {
  "query.condition_missing": "此处之前缺少条件；若要检索该词本身，请加引号",
  "query.empty_parentheses": "括号内没有内容",
  "query.name_missing": "此处缺少字段名；若要检索符号，请加引号",
  "query.no_name": "此处不是有效的字段名；若要检索含 ':' 的文本，请加引号",
  "query.no_order": "全文没有大小之分；请比较某个字段",
  "query.no_such_operator": "没有这个运算符；请写 字段:值 或 not 字段:值",
  "query.no_time": "不是有效时间；请用 RFC 3339 格式，如 2026-11-24T08:00:00Z，不能带通配符",
  "query.nothing_follows": "该运算符之后没有内容；若要检索该词本身，请加引号",
  "query.nothing_to_search": "没有可检索的字母或数字",
  "query.open_parenthesis": "此处的 '(' 没有闭合；请以 ')' 结束",
  "query.open_quote": "此处的引号没有闭合；请以 '\"' 结束",
  "query.phrase_too_long": "短语的词数过多；请只检索其中一部分",
  "query.stray_parenthesis": "此处的 ')' 没有对应的 '('",
  "query.too_deep": "括号嵌套过深",
  "query.too_long": "查询语句过长",
  "query.too_many_conditions": "条件过多",
  "query.value_missing": "此处缺少值；用 字段:* 判断字段是否存在",
  "query.wildcard_in_comparison": "比较运算不支持通配符；请用 '\\' 转义",
  "query.wildcard_in_name": "字段名不支持通配符；多个字段请用 or 连接",
};
