// The engine of one Pod, as it really is: it runs until the schedule ends it, whatever happens to its worker.
// Always holds: it ends once. An engine that has a state to write ends when that is done, or when it is killed.
// Used by worker-process, engine-state and cluster; judged by invariants.
import type { AgentTask } from "../../src/schema/task/agent-task.ts"

/** The exit code of an engine that is killed by SIGKILL, and does nothing more. */
export const killed = 137

export class Engine {
  readonly task: AgentTask
  readonly podUid: string
  running = true
  interrupts = 0
  exitCode: number | undefined
  /** Whether it still has to write its state when its work is done. */
  writesState = false
  /** The digest of the state with everything that the engine makes; absent until it has made something. */
  lastState: string | undefined
  /** The epoch of the engine's lock for each state that it was told is stored, by the state's digest. */
  readonly acknowledged = new Map<string, number>()
  /** The exit code of its work; absent until the work is done. */
  #done: number | undefined
  readonly #heard: Array<() => void> = []
  constructor(task: AgentTask, podUid: string) {
    this.task = task
    this.podUid = podUid
  }
  /** Calls `tell` when the engine has ended; at once if it already has. */
  onEnd(tell: (code: number) => void): void {
    this.#when(() => this.exitCode, tell)
  }
  /** Calls `tell` when the engine's work is done; at once if it already is. */
  onDone(tell: (code: number) => void): void {
    this.#when(() => this.#done, tell)
  }
  #when(code: () => number | undefined, tell: (code: number) => void): void {
    let told = false
    const look = () => {
      const now = code()
      if (told || now === undefined) return
      told = true
      tell(now)
    }
    this.#heard.push(look)
    look()
  }
  /** Ends its work with this code, or kills it. */
  end(code: number): void {
    if (!this.running) return
    this.#done ??= code
    if (this.writesState && code !== killed) this.#tell()
    else this.finish(code)
  }
  /** Ends the engine, whatever it still had to do. */
  finish(code: number): void {
    if (!this.running) return
    this.running = false
    this.exitCode = code
    this.#tell()
  }
  #tell(): void {
    for (const look of this.#heard) look()
  }
}
