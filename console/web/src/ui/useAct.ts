// A change sent to the server: told when done, explained when refused, and shown by asking anew.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useSpeech } from "../i18n";
import { useErrorText } from "./notes";
import { done, failed } from "./told";

interface Options<In, Out> {
  act: (input: In) => Promise<Out>;
  told?: (out: Out, input: In) => string;
  /** The answers that this change makes old. */
  stale: string[];
  then?: (out: Out, input: In) => void;
  /** The caller shows the error itself. */
  quietError?: boolean;
}

export function useAct<In, Out = unknown>(options: Options<In, Out>) {
  const cache = useQueryClient();
  const errorText = useErrorText();
  const { t } = useSpeech();
  const refresh = () => Promise.all(options.stale.map((key) => cache.invalidateQueries({ queryKey: [key] })));
  return useMutation<Out, Error, In>({
    mutationFn: options.act,
    onSuccess: (out, input) => {
      if (options.told) done(options.told(out, input), t("action.close"));
      options.then?.(out, input);
      void refresh();
    },
    onError: (error) => {
      // What is true now is on the server: a conflict is shown beside the fresh state.
      void refresh();
      if (options.quietError) return;
      const { title, hint } = errorText(error);
      failed(title, hint, t("action.close"));
    },
  });
}
