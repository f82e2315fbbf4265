// Who did something: as the server writes an actor, or already as text.
export type Actor = string | { kind: string; name?: string; part?: string };
