// A Pod without a node: the worker in this process, a real exec loop beside it, and directories in place of volumes.
// All of it ends and is removed when the scope closes.
// Used by the tests that run whole stages.
import { ConfigProvider, Effect, type Exit, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { install } from "../../src/worker/install.ts"
import { worker } from "../../src/worker/stage/worker.ts"
import type { FakeKubernetes } from "./fake-kubernetes.ts"
import { podEnvironment } from "./pod-settings.ts"

export interface Pod {
  readonly dataDirectory: string
  readonly privateDirectory: string
  /** A directory that outlives the Pod, as a mounted claim does. */
  readonly claim: string
  /** Everything the worker printed. */
  readonly log: () => string
  /** Completes when the log contains this text. */
  readonly logged: (text: string) => Effect.Effect<void>
  /** Returns the worker's termination message, parsed. */
  readonly lastWords: () => unknown
  /** Ends the runner's container with all that is in it, and starts it again, as the kubelet does. */
  readonly restartRunner: Effect.Effect<void>
  /** Kills the running engine and what it has started, as the kernel does when memory runs out. */
  readonly killEngine: Effect.Effect<void>
  /** Kills the providers alone. */
  readonly killProviders: Effect.Effect<void>
  readonly run: (kubernetes: FakeKubernetes, env?: Readonly<Record<string, string>>) => Effect.Effect<Exit.Exit<void, unknown>>
}

const foundInPath = (program: string): string | undefined =>
  (process.env.PATH ?? "").split(":").map((directory) => join(directory, program)).find(existsSync)

export const find = (program: string): string => {
  const found = foundInPath(program)
  if (found === undefined) throw new Error(`${program} is not in PATH; run test/cluster/build ${program.replace("terraform-", "")}`)
  return found
}

/**
 * Makes the filesystem mirror, the CLI configuration and the programs of the runner image; returns its environment. The programs name that
 * configuration themselves: it is elsewhere in each Pod, so that no plan would be applied if the environment named it.
 */
const runnerImage = (place: string, programs: Readonly<Record<string, string>>): Record<string, string> => {
  const folderOf = (registry: string) =>
    join(place, "mirror", registry, "hashicorp/time/0.14.2", `linux_${process.arch === "arm64" ? "arm64" : "amd64"}`)
  const [folder, other] = [folderOf("registry.opentofu.org"), folderOf("registry.terraform.io")]
  mkdirSync(folder, { recursive: true })
  mkdirSync(dirname(other), { recursive: true })
  symlinkSync(folder, other)
  const engine = programs.tofu ?? programs.terraform
  const provider = engine === undefined ? find("terraform-provider-time") : foundInPath("terraform-provider-time") // a script may need none
  if (provider !== undefined) cpSync(provider, join(folder, "terraform-provider-time_v0.14.2"))
  writeFileSync(join(place, "tofurc"), `provider_installation {\n  filesystem_mirror {\n    path = "${join(place, "mirror")}"\n  }\n}\n`)
  mkdirSync(join(place, "bin"))
  const configured = `export TF_CLI_CONFIG_FILE="\${TF_CLI_CONFIG_FILE:-${join(place, "tofurc")}}"`
  const all = engine === undefined ? { ...programs, tofu: `#!/bin/sh\nexec ${find("tofu")} "$@"\n` } : programs
  for (const [name, script] of Object.entries(all)) {
    writeFileSync(join(place, "bin", name), script.replace("\n", `\n${configured}\n`), { mode: 0o755 })
  }
  return { PATH: `${join(place, "bin")}:/usr/bin:/bin` }
}

/**
 * Starts a Pod. `programs` are scripts by name that the runner's image has; an engine among them replaces the real `tofu`. `at` is where
 * the directories are, for Pods one after another that have the same paths, as real ones do. `environment` is what the runner has by itself.
 */
export const pod = (
  programs: Readonly<Record<string, string>> = {},
  at?: string,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Pod, never, Scope.Scope> =>
  Effect.gen(function*() {
    const place = yield* Effect.acquireRelease(
      Effect.sync(() => {
        if (at !== undefined) mkdirSync(at)
        return at ?? mkdtempSync(join(tmpdir(), "agent-job-pod-"))
      }),
      (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
    )
    const [dataDirectory, privateDirectory, claim] = [join(place, "data"), join(place, "private"), join(place, "claim")]
    for (const directory of [dataDirectory, privateDirectory, claim]) mkdirSync(directory)
    chmodSync(place, 0o755)
    yield* Effect.orDie(install(dataDirectory))
    const env = { ...environment, ...runnerImage(place, programs) }
    const start = () =>
      spawn("/bin/sh", [join(dataDirectory, "exec/exec-loop.sh"), join(dataDirectory, "exec")], { env, stdio: "ignore", detached: true })
    let runner: ChildProcess | undefined
    const end = () => {
      if (runner?.pid === undefined || runner.exitCode !== null) return
      for (const group of groupsBelow(runner.pid)) killGroup(group)
    }
    yield* Effect.acquireRelease(Effect.sync(() => void (runner = start())), () => Effect.sync(end))
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
    const run: Pod["run"] = (kubernetes, more = {}) =>
      worker.pipe(
        Effect.provide(kubernetes.layer),
        Effect.provide(
          ConfigProvider.layer(
            ConfigProvider.fromUnknown(
              podEnvironment(dataDirectory, privateDirectory, {
                AGENT_JOB_TERMINATION_LOG: terminationLog,
                AGENT_JOB_READY_PORT: "0",
                ...more
              })
            )
          )
        ),
        Effect.exit
      )
    const log = () => printed.join("")
    return {
      dataDirectory,
      privateDirectory,
      claim,
      log,
      logged: (text) =>
        Effect.orDie(
          Effect.asVoid(Effect.repeat(Effect.sleep("10 millis"), { until: () => log().includes(text) }).pipe(Effect.timeout("1 minute")))
        ),
      lastWords: () => JSON.parse(readFileSync(terminationLog, "utf8")),
      restartRunner: Effect.sync(() => {
        end()
        runner = start()
      }),
      killEngine: Effect.sync(() => {
        for (const group of groupsBelow(runner?.pid ?? 0)) {
          if (group !== runner?.pid && ["tofu", "tofu-1.11", "terraform"].includes(nameOf(group))) killGroup(group)
        }
      }),
      killProviders: Effect.sync(() => {
        for (const pid of groupsBelow(runner?.pid ?? 0)) if (nameOf(pid).startsWith("terraform-prov")) process.kill(pid, "SIGKILL")
      }),
      run
    }
  })

/** Returns the name of a process, of which the kernel keeps 15 characters; empty if it has ended. */
const nameOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim()
  } catch {
    return ""
  }
}

/** Returns the IDs of a process and its descendants. Each command among them leads a process group. */
const groupsBelow = (pid: number): ReadonlyArray<number> => {
  const children = (parent: number): ReadonlyArray<number> => {
    try {
      // any thread of a process may have started another
      return readdirSync(`/proc/${parent}/task`).flatMap((thread) =>
        readFileSync(`/proc/${parent}/task/${thread}/children`, "utf8").split(" ").filter((_) => _ !== "").map(Number)
      )
    } catch {
      return []
    }
  }
  return [pid, ...children(pid).flatMap(groupsBelow)]
}

const killGroup = (pid: number): void => {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, "SIGKILL")
    } catch {
      // the process leads no group, or has ended
    }
  }
}
