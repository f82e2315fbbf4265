// English: the catalogue that names the keys.
import { frame } from "./frame";
import { keeping } from "./keeping";
import { work } from "./work";

export const en = { ...frame, ...work, ...keeping } as const;
