// Counts of the last minutes as bars; the last one is the minute that runs.
interface Props {
  values: number[];
  label: string;
  width?: number;
  height?: number;
}

export function Sparkline({ values, label, width = 180, height = 26 }: Props) {
  const max = Math.max(1, ...values);
  const step = width / Math.max(1, values.length);
  return (
    <svg className="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {values.map((value, at) => {
        const tall = value === 0 ? 0.75 : Math.max(1.5, (value / max) * (height - 1));
        return <rect key={at} x={at * step} y={height - tall} width={Math.max(0.6, step - 0.8)} height={tall}
          className={value === 0 ? "spark-none" : "spark-bar"} />;
      })}
    </svg>
  );
}
