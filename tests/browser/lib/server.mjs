// A Custos of the test's own: the demo in a temporary folder, on a free port.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const candidates = [process.env.CUSTOS_TEST_BINARY, `${root}target/debug/custos`, `${root}target/release/custos`];

/** Starts a demo and waits for the line with the one-time token. */
export async function startDemo({ speed = "30", seed = "7", keep } = {}) {
  const binary = candidates.find((path) => path && existsSync(path));
  if (!binary) throw new Error("no custos binary: run cargo build -p custos-server first");
  const more = keep ? ["--keep", keep] : [];
  const child = spawn(binary, ["demo", "--speed", speed, "--seed", seed, "--listen", "127.0.0.1:0", ...more], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { text: "" };
  const found = new Promise((resolve, reject) => {
    const listen = (bytes) => {
      said.text += bytes;
      const setup = /http:\/\/[\d.]+:\d+\/#setup=\S+/.exec(said.text);
      if (setup) resolve(setup[0]);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("exit", (code) => reject(new Error(`custos demo ended with ${code}:\n${said.text}`)));
    setTimeout(() => reject(new Error(`no setup line within 60 s:\n${said.text}`)), 60_000).unref();
  });
  const setup = await found.catch((error) => (child.kill("SIGKILL"), Promise.reject(error)));
  const base = new URL(setup).origin;
  return {
    setup,
    base,
    said,
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
