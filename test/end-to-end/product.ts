// What each end-to-end test has for itself: a workspace, a folder, the CLI as a process, and tasks. Only the workspace stays after it.
// The product runs in the cluster that TEST_KUBECONFIG names, where scripts/test installs it.
// Used by the tests of this folder.
import { Schema } from "effect"
import { randomBytes } from "node:crypto"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { test } from "vitest"
import { RunView } from "../../src/schema/api/run.ts"
import { kubectl, manifestOf, productNamespace, type TaskSpec, tryKubectl } from "./cluster.ts"
import { type Ended, Process, run } from "./process.ts"
import { runsOf } from "./server.ts"

const program = fileURLToPath(new URL("../../bin/agent-job", import.meta.url))

/** The files of a configuration, by name. */
export type Files = Readonly<Record<string, string>>

const Report = Schema.Struct({
  run: RunView,
  outputs: Schema.NullOr(Schema.Array(Schema.Struct({ name: Schema.String, sensitive: Schema.Boolean, value: Schema.Unknown }))),
  stateSerial: Schema.NullOr(Schema.Int)
})
const decodeReport = Schema.decodeUnknownSync(Schema.fromJsonString(Report))

/** How `agent-job run -o json` ended: what it printed for programs, and what it told a person. */
export interface RunEnded {
  readonly code: number | null
  readonly report: typeof Report.Type
  readonly told: string
}

export const agentJob = (...args: ReadonlyArray<string>): Promise<Ended> => run(program, args)

export class Scene {
  /** The name of the workspace, with which the names of all objects of the test begin. */
  readonly name: string
  private readonly folder: string
  private readonly processes: Array<Process> = []
  private readonly objects: Array<string> = []
  private readonly others: Array<Scene> = []
  private folders = 0

  constructor(name: string, folder: string) {
    this.name = name
    this.folder = folder
  }

  /** Makes a new directory with these files. */
  async directory(files: Files): Promise<string> {
    const directory = join(this.folder, `configuration-${++this.folders}`)
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, name)), { recursive: true })
      await writeFile(join(directory, name), content)
    }
    return directory
  }

  /** Starts a process that is killed when the test ends. */
  start(program: string, ...args: ReadonlyArray<string>): Process {
    return this.command(program, args)
  }

  /** Starts a process as `start` does, with more in its environment. */
  command(program: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Process {
    return this.keep(new Process(program, args, { env }))
  }

  private keep(started: Process): Process {
    this.processes.push(started)
    return started
  }

  agentJob(...args: ReadonlyArray<string>): Process {
    return this.start(program, ...args)
  }

  /** Starts `agent-job run` of the files in the test's workspace. Returns the process and the run's id. */
  async startRun(files: Files, ...flags: ReadonlyArray<string>): Promise<{ readonly command: Process; readonly id: string }> {
    const command = this.agentJob("run", await this.directory(files), "--workspace", this.name, ...flags)
    const id = await command.until("the run is started", ({ text }) => /Started (run-[a-z0-9]+)/u.exec(text)?.[1])
    return { command, id }
  }

  /** Runs `agent-job run -o json` of the files in the test's workspace to its end. */
  async run(files: Files, ...flags: ReadonlyArray<string>): Promise<RunEnded> {
    const args = ["run", await this.directory(files), "--workspace", this.name, "-o", "json", ...flags]
    const { code, stderr, stdout } = await this.keep(new Process(program, args, { input: "" })).ended
    if (stdout === "") throw new Error(`agent-job run printed no report and ended with ${code}: ${stderr}`)
    return { code, report: decodeReport(stdout), told: stderr }
  }

  /** Makes an AgentTask and returns its name. */
  async task(spec: TaskSpec, suffix = "task"): Promise<string> {
    const name = `${this.name}-${suffix}`
    await this.create(`atask/${name}`, manifestOf(name, { workspace: this.name, ...spec }))
    return name
  }

  /** Makes an object, named as `kind/name`, that is deleted after the test. `user`: the user to impersonate. */
  async create(object: string, manifest: string, user?: string): Promise<void> {
    this.objects.push(object)
    await kubectl(["create", "--filename=-", ...user === undefined ? [] : [`--as=${user}`]], manifest)
  }

  /** Makes a scene within this one, for a test of two workspaces. It ends with this one. */
  async another(suffix: string): Promise<Scene> {
    const other = new Scene(`${this.name}-${suffix}`, await mkdtemp(join(this.folder, `${suffix}-`)))
    this.others.push(other)
    return other
  }

  /** Returns what its processes have printed, and how all tasks and Pods are: what is left to find out why a test failed. */
  async story(): Promise<string> {
    const printed = [this, ...this.others].flatMap(({ processes }) => processes.map(({ text }) => text.slice(-4000)))
    const [tasks, log] = await Promise.all([
      tryKubectl(["get", "atasks,jobs,pods", "--output=wide"]),
      tryKubectl(["logs", "--namespace", productNamespace, "deployment/agent-job-controller", "--tail=40"])
    ])
    return [`What the processes of ${this.name} printed last:`, ...printed, tasks.stdout, log.stdout].join("\n\n")
  }

  /** Ends and removes everything. It cancels runs that have not ended, whose records the server keeps. */
  async end(): Promise<void> {
    await Promise.all([...this.processes.map((started) => started.end()), ...this.others.map((other) => other.end())])
    const runs = await runsOf(this.name).catch(() => [])
    await Promise.all(runs.filter(({ final }) => !final).map(({ id }) => agentJob("cancel", id)))
    const tasks = runs.flatMap(({ stages }) => stages.map(({ id }) => `atask/${id.replace(/\.1$/u, "").replaceAll(".", "-")}`))
    if (tasks.length + this.objects.length > 0) {
      await tryKubectl(["delete", "--ignore-not-found", "--wait=false", ...this.objects, ...tasks])
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Makes a scene. Its name says that an end-to-end test made it, and ends in a random part. */
const newScene = async () => new Scene(`e2e-${randomBytes(4).toString("hex")}`, await mkdtemp(join(tmpdir(), "agent-job-e2e-")))

export const it = test.extend("scene", async ({ onTestFinished }) => {
  const scene = await newScene()
  onTestFinished(async ({ task }) => {
    if (task.result?.state === "fail") console.error(await scene.story())
    await scene.end()
  })
  return scene
})
