import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const ROOT = join(import.meta.dirname, "../../..");
const START_MS_MAX = 30_000;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The built shop as a process of its own. */
export class TestShop {
  #process: ChildProcess | undefined;
  url = "";

  async start(env: Record<string, string>): Promise<void> {
    if (!existsSync(join(ROOT, ".next/BUILD_ID"))) throw new Error("build the shop first: npm run build");
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    this.#process = spawn(process.execPath, [join(ROOT, "node_modules/next/dist/bin/next"), "start", "--port", String(port)], {
      cwd: ROOT, stdio: "ignore", env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", ...env },
    });
    const until = Date.now() + START_MS_MAX;
    while (Date.now() < until) {
      const answered = await fetch(`${this.url}/api/health`).then((response) => response.ok, () => false);
      if (answered) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the shop did not answer within ${START_MS_MAX} ms`);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null) return;
    await new Promise((resolve) => {
      child.once("exit", resolve);
      child.kill("SIGTERM");
    });
  }
}

/** The machine's Chromium. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
  if (!executablePath) throw new Error("no Chromium found: install it (Debian: apt-get install chromium), or name its path in CHROMIUM");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}
