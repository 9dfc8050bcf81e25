// A program as a process of its own: what it has printed so far, how to wait for more, and how it ended.
// Used by the end-to-end tests for kubectl and agent-job, and by the files beside this one.
import { type ChildProcess, spawn } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"

export interface Ended {
  /** The exit code. Null when a signal ended the process. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface StartOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** How long a test waits for what takes a few seconds, on a machine that is much slower and busy. */
export const patienceSeconds = 300

/** Returns the error for a deadline that passed, with what was seen last. */
export const overdue = (what: string, seconds: number, seen: string) =>
  new Error(`${what} did not come about in ${seconds} s; seen last: ${seen}`)

/** Calls `look` again and again until it returns a value. Fails at the deadline. */
export const eventually = async <A>(what: string, look: () => A | undefined, { everyMillis = 20, seconds = 30 } = {}): Promise<A> => {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await sleep(everyMillis)) {
    const seen = look()
    if (seen !== undefined) return seen
  }
  throw overdue(what, seconds, "nothing")
}

export class Process {
  readonly ended: Promise<Ended>
  private readonly child: ChildProcess
  private readonly said = { stdout: "", stderr: "" }
  private readonly listeners = new Set<() => void>()
  private isOver = false

  constructor(program: string, args: ReadonlyArray<string>, { env, input }: StartOptions = {}) {
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] })
    this.child = child
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        this.said[stream] += text
        this.tell()
      })
    }
    child.stdin.on("error", () => {}) // the process may end before it has read everything
    if (input !== undefined) child.stdin.end(input)
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject)
      child.once("close", (code) => resolve({ code, ...this.said })) // after its exit, and after the last of what it has printed
    })
    const over = () => {
      this.isOver = true
      this.tell()
    }
    this.ended.then(over, over)
  }

  /** Everything that the process has printed so far: stdout, then stderr. */
  get text(): string {
    return this.said.stdout + this.said.stderr
  }

  get stdout(): string {
    return this.said.stdout
  }

  /** Waits until `seen` returns a value. Fails when the process ends before that, or at the deadline. */
  until<A>(what: string, seen: (said: Process) => A | undefined, seconds = patienceSeconds): Promise<A> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(deadline)
        this.listeners.delete(look)
        finish()
      }
      const look = () => {
        try {
          const found = seen(this)
          if (found !== undefined) settle(() => resolve(found))
          else if (this.isOver) {
            settle(() =>
              reject(
                new Error(
                  `the process ended (${this.child.exitCode ?? this.child.signalCode}) before ${what}; it said: ${this.text.slice(-4000)}`
                )
              )
            )
          }
        } catch (error) {
          settle(() => reject(error))
        }
      }
      const deadline = setTimeout(() => settle(() => reject(overdue(what, seconds, this.text.slice(-4000)))), seconds * 1000)
      this.listeners.add(look)
      look()
    })
  }

  /** Waits until the process has printed `part`. */
  async says(part: string, seconds?: number): Promise<void> {
    await this.until(`it says "${part}"`, ({ text }) => text.includes(part) ? true : undefined, seconds)
  }

  type(text: string): void {
    this.child.stdin?.write(text)
  }

  signal(name: NodeJS.Signals): void {
    if (!this.isOver) this.child.kill(name)
  }

  /** Kills the process and waits for its end. */
  async end(): Promise<void> {
    this.signal("SIGKILL")
    await this.ended.catch(() => {})
  }

  private tell(): void {
    for (const listener of this.listeners) listener()
  }
}

export const run = (program: string, args: ReadonlyArray<string>, options: StartOptions = {}): Promise<Ended> =>
  new Process(program, args, { input: "", ...options }).ended
