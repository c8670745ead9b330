// The gateway from TypeScript: copy this file, it has no dependencies.
//
// Node >= 22.18 runs it as it is; for an older one, or a bundler, compile it as any other file (ES2022).
//
//     GATEWAY_URL=http://127.0.0.1:8780 GATEWAY_KEY=... node gateway.ts SOURCE_URL TARGET_URL

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { argv, env, exit } from "node:process";
import { pathToFileURL } from "node:url";

export type State = "queued" | "running" | "waiting" | "succeeded" | "failed" | "cancelled" | "expired";

export interface SwapRequest {
  source_url: string; // gives the face
  target_url: string; // receives it
  business_task_id?: string; // your own id: the same id is the same job
  tool?: "roop" | "v2/roop" | "face/fusion";
  priority?: "interactive" | "bulk";
  callback_url?: string;
  expires_at?: string;
  batch_id?: string;
  metadata?: Record<string, unknown>;
  fidelity_weight?: number;
  second_source_url?: string;
  face_idx?: number;
}

/** A job of any tool: what it takes is in the OpenAPI document, and in docs/tools.md. */
export interface JobRequest extends Omit<SwapRequest, "source_url" | "target_url" | "tool"> {
  tool: string;
  input: Record<string, unknown>;
}

export interface Output {
  kind: "image" | "text" | "json";
  url?: string;
  text?: string;
  value?: unknown;
}

export interface Job {
  id: string;
  state: State;
  business_task_id: string;
  output_url: string | null; // the first picture
  outputs: Output[];
  error: { code: string; message: string; retryable: boolean } | null;
  attempts: number;
  failed_attempts: number;
  reason: string | null;
  next_attempt_at: string | null;
  created_at: string;
  finished_at: string | null;
  batch_id: string | null;
  metadata: Record<string, unknown>;
}

export interface WebhookEvent {
  type: string; // swap.succeeded, swap.failed, ...
  timestamp: string;
  data: Job;
}

/** A request that the gateway refused. `code` is stable: see "Errors" in curl.md. */
export class GatewayError extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(status: number, problem: Record<string, unknown>, retryAfter: string | null) {
    super(String(problem["detail"] ?? problem["title"] ?? `HTTP ${status}`));
    this.name = "GatewayError";
    this.status = status;
    this.code = String(problem["code"] ?? "unknown");
    this.field = typeof problem["field"] === "string" ? problem["field"] : undefined;
    this.retryAfterS = retryAfter === null ? undefined : Number(retryAfter);
  }
}

const FINAL: ReadonlySet<State> = new Set<State>(["succeeded", "failed", "cancelled", "expired"]);
const LONGEST_WAIT_S = 60;
const TRIES = 8; // some 12 s: a gateway that is started anew is back by then

const sleep = (seconds: number) => new Promise<void>((done) => setTimeout(done, seconds * 1000));

export const isFinal = (job: Job): boolean => FINAL.has(job.state);

export class Gateway {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url.replace(/\/+$/, "");
    this.#key = key;
  }

  /** Accepts a job. The Idempotency-Key makes a repeated call the same job, so a lost reply can be asked for again. */
  async submit(request: SwapRequest | JobRequest): Promise<Job> {
    const id = request.business_task_id ?? randomUUID();
    return this.#json("POST", "/v1/jobs", { "Idempotency-Key": id }, request);
  }

  async get(id: string): Promise<Job> {
    return this.#json("GET", `/v1/jobs/${encodeURIComponent(id)}`);
  }

  async cancel(id: string): Promise<Job> {
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/cancel`);
  }

  /** Returns some jobs, newest first; `next_cursor` gives the next page. */
  async list(filters: Record<string, string> = {}): Promise<{ jobs: Job[]; next_cursor: string | null }> {
    return this.#json("GET", `/v1/jobs?${new URLSearchParams(filters)}`);
  }

  /** Returns the job once it is final, or as it stands after `timeoutS` seconds. */
  async wait(id: string, timeoutS: number): Promise<Job> {
    const until = Date.now() + timeoutS * 1000;
    for (;;) {
      const left = Math.ceil((until - Date.now()) / 1000);
      const seconds = Math.max(0, Math.min(left, LONGEST_WAIT_S));
      const asked = Date.now();
      const job = await this.#json<Job>("GET", `/v1/jobs/${encodeURIComponent(id)}`, { Prefer: `wait=${seconds}` });
      if (isFinal(job) || left <= 0) return job;
      if (Date.now() - asked < 1000) await sleep(1); // it has too many that wait
    }
  }

  /** Yields the job at every change until it is final; goes on where it was when the connection is lost. */
  async *events(id: string): AsyncGenerator<Job> {
    let last = "";
    for (let tries = 0; tries < TRIES; tries++) {
      const headers: Record<string, string> = last ? { "Last-Event-ID": last } : {};
      const reply = await this.#fetch("GET", `/v1/jobs/${encodeURIComponent(id)}/events`, {
        Accept: "text/event-stream",
        ...headers,
      });
      if (reply.status === 204) return; // final, and told already
      try {
        for await (const event of serverSentEvents(reply)) {
          last = event.id ?? last;
          tries = 0;
          const job = JSON.parse(event.data) as Job;
          yield job;
          if (isFinal(job)) return;
        }
      } catch (error) {
        if (error instanceof SyntaxError) throw error; // no JSON: that is no lost connection
      }
      await sleep(1);
    }
    throw new Error(`the event stream of job ${id} broke ${TRIES} times`);
  }

  async #json<T>(method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<T> {
    return (await this.#fetch(method, path, headers, body)).json() as Promise<T>;
  }

  /** Every call here may be made twice, so one without an answer is made again. */
  async #fetch(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Response> {
    for (let tries = 1; ; tries++) {
      let reply: Response;
      try {
        reply = await fetch(this.#url + path, {
          method,
          headers: { Authorization: `Bearer ${this.#key}`, "Content-Type": "application/json", ...headers },
          body: body === undefined ? null : JSON.stringify(body),
          redirect: "error",
        });
      } catch (error) {
        if (tries === TRIES) throw error;
        await sleep(Math.min(5, 0.1 * 2 ** tries) * (0.5 + Math.random() / 2));
        continue;
      }
      if (reply.ok) return reply;
      const problem = (await reply.json().catch(() => ({}))) as Record<string, unknown>;
      throw new GatewayError(reply.status, problem, reply.headers.get("Retry-After"));
    }
  }
}

async function* serverSentEvents(reply: Response): AsyncGenerator<{ id?: string; data: string }> {
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    let end: number;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const of = (name: string) => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length).trimStart());
      const data = of("data:");
      const id = of("id:").at(-1);
      if (data.length > 0) yield { ...(id === undefined ? {} : { id }), data: data.join("\n") };
    }
  }
}

/** Returns the event of a webhook, or throws: call it with the body as it came, before any JSON parser. */
export function verifyWebhook(
  secret: string, // whsec_...
  headers: Record<string, string | string[] | undefined>, // Node's request.headers: names in lower case
  body: string,
  toleranceS = 300,
): WebhookEvent {
  const [id, at, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => String(headers[name] ?? ""));
  if (!(Math.abs(Date.now() / 1000 - Number(at)) <= toleranceS)) throw new Error("the webhook is too old, or has no time");
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest();
  const isOurs = signatures!.split(" ").some((signature) => {
    const [version, value] = signature.split(",", 2);
    const given = Buffer.from(value ?? "", "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!isOurs) throw new Error("the webhook's signature is not of this secret");
  return JSON.parse(body) as WebhookEvent;
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  const [source_url, target_url] = argv.slice(2);
  if (!source_url || !target_url) {
    console.error("usage: node gateway.ts SOURCE_URL TARGET_URL");
    exit(2);
  }
  const gateway = new Gateway(env["GATEWAY_URL"] ?? "http://127.0.0.1:8780", env["GATEWAY_KEY"] ?? "");
  const job = await gateway.submit({ source_url, target_url });
  for await (const { state, output_url, error } of gateway.events(job.id)) {
    console.log(state, output_url ?? error?.message ?? "");
  }
}
