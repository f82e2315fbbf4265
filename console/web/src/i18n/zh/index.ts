// 简体中文目录：与英文目录的键一一对应，由类型检查与测试保证。
import { customers } from "./customers";
import { frame } from "./frame";
import { integrity } from "./integrity";
import { keeping } from "./keeping";
import { query } from "./query";
import { rules } from "./rules";
import { work } from "./work";

export const zh = { ...frame, ...work, ...integrity, ...keeping, ...query, ...rules, ...customers };
