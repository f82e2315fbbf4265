// English: the catalogue that names the keys.
import { customers } from "./customers";
import { frame } from "./frame";
import { integrity } from "./integrity";
import { keeping } from "./keeping";
import { query } from "./query";
import { rules } from "./rules";
import { work } from "./work";

export const en = { ...frame, ...work, ...integrity, ...keeping, ...query, ...rules, ...customers } as const;
