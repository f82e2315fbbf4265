// Events over time as bars. Dragging across them, or Enter on one, narrows the time.
import { useElementSize } from "@mantine/hooks";
import { useMemo, useState, type KeyboardEvent, type PointerEvent } from "react";
import { useSpeech } from "../i18n";
import { clockText, dayText } from "../lib/time";

interface Bucket {
  time: string;
  count: number;
}

interface Props {
  buckets: Bucket[];
  bucketSecs: number;
  label: string;
  onZoom: (from: string, to: string) => void;
}

const HEIGHT = 84;
const AXIS = 16;
/** A pixel or two of trembling is a click, not a drag. */
const DRAG_MIN = 4;

function ticks(buckets: Bucket[], width: number): number[] {
  const wanted = Math.max(2, Math.floor(width / 110));
  const every = Math.max(1, Math.ceil(buckets.length / wanted));
  return buckets.map((_, at) => at).filter((at) => at % every === 0);
}

export function Histogram({ buckets, bucketSecs, label, onZoom }: Props) {
  const { n, zone, stamp, t } = useSpeech();
  const { ref, width } = useElementSize<HTMLDivElement>();
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const max = useMemo(() => buckets.reduce((most, bucket) => Math.max(most, bucket.count), 0), [buckets]);
  const step = buckets.length ? width / buckets.length : 0;
  const indexAt = (x: number) => Math.min(buckets.length - 1, Math.max(0, Math.floor(x / step)));
  const start = (at: number) => new Date(buckets[at]?.time ?? 0).getTime();
  const zoom = (a: number, b: number) => {
    const [low, high] = a < b ? [a, b] : [b, a];
    onZoom(new Date(start(low)).toISOString(), new Date(start(high) + bucketSecs * 1000).toISOString());
  };
  const x = (event: PointerEvent<SVGSVGElement>) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const onDown = (event: PointerEvent<SVGSVGElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag({ from: x(event), to: x(event) });
  };
  const onMove = (event: PointerEvent<SVGSVGElement>) => {
    setHover(step ? indexAt(x(event)) : null);
    if (drag) setDrag({ ...drag, to: x(event) });
  };
  const onUp = () => {
    if (drag && Math.abs(drag.to - drag.from) >= DRAG_MIN) zoom(indexAt(drag.from), indexAt(drag.to));
    setDrag(null);
  };
  const onKey = (event: KeyboardEvent) => {
    const at = hover ?? -1;
    if (event.key === "ArrowRight") (event.preventDefault(), setHover(Math.min(buckets.length - 1, at + 1)));
    if (event.key === "ArrowLeft") (event.preventDefault(), setHover(Math.max(0, at - 1)));
    if (event.key === "Enter" && hover !== null) zoom(hover, hover);
  };
  const long = bucketSecs >= 6 * 3600;
  const shown = hover === null ? undefined : buckets[hover];
  const tickText = (time: string) => {
    const date = new Date(time);
    return long ? dayText(date, zone).slice(5) : clockText(date, zone, false).slice(0, bucketSecs < 60 ? 8 : 5);
  };
  return (
    <div className="histogram" ref={ref}>
      <svg width={width} height={HEIGHT + AXIS} role="application" aria-roledescription={t("histogram.role")} aria-label={label} tabIndex={0}
        onPointerDown={onDown} onPointerMove={onMove} onPointerUp={onUp} onPointerCancel={() => setDrag(null)} onPointerLeave={() => setHover(null)} onKeyDown={onKey}>
        <line x1={0} x2={width} y1={HEIGHT + 0.5} y2={HEIGHT + 0.5} className="axis" />
        {buckets.map((bucket, at) => {
          const tall = bucket.count === 0 ? 0 : Math.max(1.5, (bucket.count / (max || 1)) * (HEIGHT - 6));
          return <rect key={bucket.time} x={at * step + 0.5} y={HEIGHT - tall} width={Math.max(1, step - 1)} height={tall}
            className={at === hover ? "bar bar-here" : "bar"} />;
        })}
        {ticks(buckets, width).map((at) => (
          <text key={at} x={at * step} y={HEIGHT + 12} className="tick">{tickText(buckets[at]?.time ?? "")}</text>
        ))}
        {drag ? <rect x={Math.min(drag.from, drag.to)} y={0} width={Math.abs(drag.to - drag.from)} height={HEIGHT} className="brush" /> : null}
      </svg>
      <div className="histogram-note" aria-live="polite">
        {shown ? `${stamp(shown.time).stamp.slice(0, 19)} ${stamp(shown.time).offset} · ${n(shown.count)}` : `${t("histogram.max", { n: max })} · ${t("histogram.hint")}`}
      </div>
    </div>
  );
}
