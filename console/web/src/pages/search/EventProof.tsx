// That one event is in the log that was signed: what proves it, and the file that does so elsewhere.
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get, withQuery } from "../../api/client";
import { useSpeech } from "../../i18n";
import { ErrorNote, Loading } from "../../ui/notes";
import { Copy } from "../../ui/parts";

interface Proof {
  leaf: string;
  index: number;
  size: number;
  path: string[];
  root: string;
  note: string;
}

export function EventProof({ place }: { place: string }) {
  const { t, n } = useSpeech();
  const answer = useQuery({
    queryKey: ["events", "proof", place],
    queryFn: ({ signal }) => get<Proof>(`/events/${place}/proof`, {}, signal),
    staleTime: Infinity,
  });
  if (answer.isError) return <ErrorNote error={answer.error} retry={() => void answer.refetch()} />;
  if (!answer.data) return <Loading />;
  const proof = answer.data;
  return (
    <div className="pad">
      <p>{t("proof.intro", { index: n(proof.index), size: n(proof.size) })}</p>
      <dl className="facts">
        <div><dt>{t("event.position")}</dt><dd className="mono">{place}</dd></div>
        <div><dt>{t("proof.size")}</dt><dd>{n(proof.size)}</dd></div>
        <div><dt>{t("proof.path")}</dt><dd>{n(proof.path.length)}</dd></div>
        <div><dt>{t("proof.leaf")}</dt><dd className="mono">{proof.leaf.slice(0, 24)}… <Copy text={proof.leaf} /></dd></div>
        <div><dt>{t("proof.root")}</dt><dd className="mono">{proof.root.slice(0, 24)}… <Copy text={proof.root} /></dd></div>
      </dl>
      <p className="minor">{t("proof.note")}</p>
      <div className="code"><div className="code-copy"><Copy text={proof.note} /></div><pre tabIndex={0}>{proof.note}</pre></div>
      <div className="acts"><Button component="a" href={withQuery(`/events/${place}/proof`)} download={`${place.replaceAll("/", "-")}.proof.json`} variant="default">{t("proof.download")}</Button></div>
    </div>
  );
}
