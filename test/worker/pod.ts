// A Pod without a node: the worker of this process, a real exec loop beside it, and directories in place of volumes.
// Everything of it is gone with the scope.
// Used by the tests that run whole stages.
import { ConfigProvider, Effect, type Exit, type Scope } from "effect"
import { spawn } from "node:child_process"
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { install } from "../../src/worker/install.ts"
import { worker } from "../../src/worker/worker.ts"
import type { FakeKubernetes } from "./fake-kubernetes.ts"

export interface Pod {
  readonly dataDirectory: string
  readonly privateDirectory: string
  readonly source: string
  /** Everything the worker printed. */
  readonly log: () => string
  /** The words it left for the kubelet. */
  readonly lastWords: () => unknown
  readonly run: (kubernetes: FakeKubernetes, env?: Readonly<Record<string, string>>) => Effect.Effect<Exit.Exit<void, unknown>>
}

/** The filesystem mirror and the command line configuration that the runner image has. */
const runnerImage = (place: string): Record<string, string> => {
  const found = (process.env.PATH ?? "").split(":").map((directory) => join(directory, "terraform-provider-time")).find(existsSync)
  if (found === undefined) throw new Error("terraform-provider-time is not in PATH; run test/cluster/build tofu provider-time")
  const folder = join(place, "mirror/registry.opentofu.org/hashicorp/time/0.14.2", `linux_${process.arch === "arm64" ? "arm64" : "amd64"}`)
  mkdirSync(folder, { recursive: true })
  cpSync(found, join(folder, "terraform-provider-time_v0.14.2"))
  writeFileSync(join(place, "tofurc"), `provider_installation {\n  filesystem_mirror {\n    path = "${join(place, "mirror")}"\n  }\n}\n`)
  return { TF_CLI_CONFIG_FILE: join(place, "tofurc") }
}

export const pod: Effect.Effect<Pod, never, Scope.Scope> = Effect.gen(function*() {
  const place = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "agent-job-pod-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const [dataDirectory, privateDirectory, source] = [join(place, "data"), join(place, "private"), join(place, "source")]
  for (const directory of [dataDirectory, privateDirectory, source]) mkdirSync(directory)
  chmodSync(place, 0o755)
  yield* Effect.orDie(install(dataDirectory))
  const image = runnerImage(place)
  yield* Effect.acquireRelease(
    Effect.sync(() => spawn("/bin/sh", [join(dataDirectory, "exec/exec-loop.sh"), join(dataDirectory, "exec")], { env: { PATH: process.env.PATH, ...image }, stdio: "ignore", detached: true })),
    (loop) => Effect.sync(() => loop.pid !== undefined && loop.exitCode === null && process.kill(-loop.pid, "SIGKILL"))
  )
  const printed: Array<string> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const write = process.stdout.write
      const capture = (chunk: string | Uint8Array, done?: unknown) => {
        printed.push(Buffer.from(chunk).toString("utf8"))
        if (typeof done === "function") queueMicrotask(() => done())
        return true
      }
      process.stdout.write = capture as typeof write
      return write
    }),
    (write) => Effect.sync(() => void (process.stdout.write = write))
  )
  const terminationLog = join(place, "termination-log")
  const run: Pod["run"] = (kubernetes, env = {}) =>
    worker.pipe(
      Effect.provide(kubernetes.layer),
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({
        AGENT_JOB_NAMESPACE: "tasks",
        AGENT_JOB_TASK: "demo",
        AGENT_JOB_POD_NAME: "demo-abcde",
        AGENT_JOB_POD_UID: "pod-uid",
        AGENT_JOB_NODE: "node-1",
        AGENT_JOB_DATA_DIR: dataDirectory,
        AGENT_JOB_PRIVATE_DIR: privateDirectory,
        AGENT_JOB_TERMINATION_LOG: terminationLog,
        AGENT_JOB_READY_PORT: "0",
        ...env
      }))),
      Effect.exit
    )
  return { dataDirectory, privateDirectory, source, log: () => printed.join(""), lastWords: () => JSON.parse(readFileSync(terminationLog, "utf8")), run }
})
