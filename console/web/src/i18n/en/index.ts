// English: the catalogue that names the keys.
import { frame } from "./frame";
import { work } from "./work";

export const en = { ...frame, ...work } as const;
