// The reading of server-sent events, and how long a lost connection waits.
import { expect, test } from "vitest";
import { EventReader, retryMillis } from "../src/api/stream";

test("messages come out whole, however the text is cut", () => {
  const text = 'id: 7.0\nevent: alerts\ndata: {"a":1}\n\n: a comment\n\nid: 8.1\nevent: sources\r\ndata: {"b":\ndata: 2}\n\n';
  for (let cut = 0; cut <= text.length; cut += 1) {
    const reader = new EventReader();
    const messages = [...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))];
    expect(messages, `cut at ${cut}`).toEqual([
      { id: "7.0", topic: "alerts", data: { a: 1 } },
      { id: "8.1", topic: "sources", data: { b: 2 } },
    ]);
  }
});

test("an unfinished message is not given", () => {
  const reader = new EventReader();
  expect(reader.push('event: alerts\ndata: {"a":1}\n')).toEqual([]);
  expect(reader.push("\n")).toHaveLength(1);
});

test("attempts come slower, and never slower than every fifteen seconds", () => {
  expect([0, 1, 2, 3, 4, 50].map(retryMillis)).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000]);
});
