// Alerts gathered by rule or by entity: how many, how bad, how new; a click shows the ones of a group.
import type { AlertGroup } from "../../api/types";
import { IconChevron } from "../../icons";
import { useSpeech } from "../../i18n";
import { Ago, Outside, Severity } from "../../ui/parts";

interface Props {
  groups: AlertGroup[];
  onOpen: (group: AlertGroup) => void;
}

export function AlertGroups({ groups, onOpen }: Props) {
  const { t, n, titled } = useSpeech();
  return (
    <div className="groups">
      <table className="table">
        <thead>
          <tr>
            <th>{t("alerts.level")}</th>
            <th>{t("alerts.group")}</th>
            <th className="num">{t("alerts.count")}</th>
            <th className="num">{t("alertStatus.open")}</th>
            <th className="wide-only">{t("alerts.oldest")}</th>
            <th>{t("alerts.newest")}</th>
            <th aria-hidden />
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={group.key} className="click" onClick={() => onOpen(group)}>
              <td><Severity level={group.level} /></td>
              <td><button type="button" className="as-link" onClick={(event) => (event.stopPropagation(), onOpen(group))}><Outside text={titled(group, group.key)} /></button></td>
              <td className="num">{n(group.count)}</td>
              <td className="num">{n(group.open)}</td>
              <td className="wide-only"><Ago time={group.oldest} /></td>
              <td><Ago time={group.newest} /></td>
              <td className="quiet"><IconChevron size={14} aria-hidden /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
