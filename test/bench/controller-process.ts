// A controller as users run it: the bundled program in a process of its own, with the environment of its image.
// Used by the measurements of memory, start and latency.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fstatSync, openSync, readFileSync } from "node:fs"
import { get } from "node:http"
import { createServer } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { installation, type Scene } from "./scene.ts"

export interface Place {
  /** The folder with the files of one run of the benchmark. */
  readonly directory: string
  /** The file that the controller connects by. */
  readonly kubeconfig: string
}

export interface Controller extends AsyncDisposable {
  /** Milliseconds from before the program was started until /readyz answered 200. */
  readonly readyMillis: number
  /** The controller's own CPU time until then, in milliseconds. */
  readonly readyCpuMillis: number
  /** Its memory in MiB, as the kernel counts it. */
  readonly memory: () => Memory
}

export interface Memory {
  readonly resident: number
  readonly peak: number
}

const pollEvery = 10
const deadlineMillis = 30_000

/** Returns the variables in the ENV line of the image, with the compile cache in `directory`. */
export const imageEnvironment = (directory: string): Readonly<Record<string, string>> => {
  const line = readFileSync("images/agent-job.Containerfile", "utf8").split("\n").find((_) => _.startsWith("ENV ")) ?? ""
  const given = Object.fromEntries(
    [...line.matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/gu)].map(([, name = "", quoted, plain]) => [name, quoted ?? plain ?? ""])
  )
  return { ...given, NODE_COMPILE_CACHE: join(directory, "compile-cache") }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Returns the body of a response with status 200; "" for any other response, or none. */
const asked = (port: number, path: string) =>
  new Promise<string>((resolve) => {
    get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => (text += part))
      response.on("end", () => resolve(response.statusCode === 200 ? text : ""))
    }).on("error", () => resolve(""))
  })

/**
 * Returns the flag for the heap size that Node would choose in its Pod. Node sizes its heap by the memory limit of its container, and this
 * process has none.
 */
const heapFlags = ({ config }: Scene): ReadonlyArray<string> => {
  const limit = /^(\d+)Mi$/u.exec(config.controller.container.resources.limits?.["memory"] ?? "")?.[1]
  return limit === undefined ? [] : [`--max-old-space-size=${limit}`]
}

const isReady = async (port: number) => (await asked(port, "/readyz")) !== ""
/** Reports whether a log says, after its first `before` bytes, that a controller is ready. */
const saysReady = (log: string, before: number) => readFileSync(log).subarray(before).includes("\"ready\"")
const leads = async (port: number) => /^agent_job_leader 1$/mu.test(await asked(port, "/metrics"))

/** Returns the CPU time of a process in milliseconds; the kernel counts in hundredths of a second. */
const cpuMillisOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /su, "").split(" ")
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

const memoryOf = (pid: number): Memory => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "mu").exec(status)?.[1]) / 1024
  return { resident: mebibytes("VmRSS"), peak: mebibytes("VmHWM") }
}

const stopped = async (child: ChildProcess) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, "exit")
  child.kill("SIGTERM")
  await exit
}

/** Starts a controller and waits until it leads; disposing of it stops it by SIGTERM. */
export const startController = async ({ directory, kubeconfig }: Place, scene: Scene): Promise<Controller> => {
  const { namespace, valuesFile } = scene
  const port = await freePort()
  const logFile = join(directory, `controller-${namespace}.log`)
  const log = openSync(logFile, "a")
  const before = fstatSync(log).size
  const program = [...heapFlags(scene), join(directory, "main.cjs"), "controller"]
  const args = [
    ...program,
    "--values",
    valuesFile,
    "--name",
    installation.name,
    "--namespace",
    installation.namespace,
    "--health-port",
    String(port)
  ]
  const env = { PATH: process.env["PATH"], HOME: directory, KUBECONFIG: kubeconfig, ...imageEnvironment(directory) }
  const startedAt = performance.now()
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", log, log] })
  const { pid } = child
  if (pid === undefined) throw new Error("The controller cannot be started")
  const kill = () => child.kill("SIGKILL") // the controller must not outlive a measurement that failed
  process.once("exit", kill)
  child.once("exit", () => process.off("exit", kill))
  const becomes = async (what: string, holds: () => Promise<boolean>) => {
    while (!(await holds())) {
      if (child.exitCode !== null || performance.now() - startedAt > deadlineMillis) {
        throw new Error(`The controller did not ${what}; see controller-${namespace}.log`)
      }
      await sleep(pollEvery)
    }
    return performance.now() - startedAt
  }
  const readyMillis = await becomes("get ready", async () => saysReady(logFile, before) && await isReady(port)) // asked all the time, it would get ready later
  const readyCpuMillis = cpuMillisOf(pid)
  await becomes("lead", () => leads(port))
  return { readyMillis, readyCpuMillis, memory: () => memoryOf(pid), [Symbol.asyncDispose]: () => stopped(child) }
}
