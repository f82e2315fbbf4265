// Colours, type and defaults: calm and dense, system fonts, Chinese ones included.
import { createTheme, type MantineColorsTuple } from "@mantine/core";

const tide: MantineColorsTuple = [
  "#e6f6fa", "#cfeaf1", "#a0d5e3", "#6cbfd4", "#43acc8",
  "#2a9dbd", "#188cac", "#0c7590", "#0a647b", "#044f63",
];

const slate: MantineColorsTuple = [
  "#d5dae1", "#b9c1cb", "#98a3b0", "#7a8795", "#4a5766",
  "#36414e", "#28323d", "#1c242d", "#151b22", "#0e1318",
];

export const theme = createTheme({
  primaryColor: "tide",
  primaryShade: { light: 8, dark: 7 },
  colors: { tide, dark: slate },
  autoContrast: true,
  fontFamily:
    'Inter, "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono CJK SC", monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  defaultRadius: "sm",
  focusRing: "auto",
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "xs" } },
    PasswordInput: { defaultProps: { size: "sm" } },
    Textarea: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs" } },
    SegmentedControl: { defaultProps: { size: "xs" } },
    Tooltip: { defaultProps: { openDelay: 350, withArrow: true, fz: "xs" } },
    Menu: { defaultProps: { shadow: "md" } },
    ActionIcon: { defaultProps: { variant: "subtle", color: "gray" } },
  },
});
