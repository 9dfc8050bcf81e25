// The engine of one Pod, as it really is: it runs until the schedule wants it to end, whatever becomes of its worker.
// Always holds: it ends once. One that has a state to write ends when it is done with that, or when it is killed.
// Used by worker-process and engine-state; judged by invariants.
import type { AgentTask } from "../../src/schema/agent-task.ts"

/** The kernel's way to end it: it does nothing any more. */
export const killed = 137

export class Engine {
  readonly task: AgentTask
  readonly podUid: string
  running = true
  interrupts = 0
  exitCode: number | undefined
  /** It has more to do when its work is done. */
  writesState = false
  /** Digest of the state that has all it makes; it has made something once there is one. */
  lastState: string | undefined
  /** Digests of the states that it was told are stored, and the epoch of its lock then. */
  readonly acknowledged = new Map<string, number>()
  /** With this code it is done with its work. */
  #done: number | undefined
  readonly #heard: Array<() => void> = []
  constructor(task: AgentTask, podUid: string) {
    this.task = task
    this.podUid = podUid
  }
  /** Told at once if it has ended. */
  onEnd(tell: (code: number) => void): void {
    this.#when(() => this.exitCode, tell)
  }
  /** Told at once if its work is done. */
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
  /** Its work is done, or it is killed. */
  end(code: number): void {
    if (!this.running) return
    this.#done ??= code
    if (this.writesState && code !== killed) this.#tell()
    else this.finish(code)
  }
  /** It has ended, whatever it had left to do. */
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
