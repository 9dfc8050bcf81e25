// The engine of one Pod, as it really is: it makes one thing after another and runs until the schedule ends it, whatever happens to its worker.
// Invariant: it ends once. An engine that has a state to write ends when that is done, or when it is killed.
// Used by worker-process, engine-state and cluster; judged by invariants.
import type { AgentTask } from "../../src/schema/task/agent-task.ts"

/** The exit code of an engine that is killed by SIGKILL, and does nothing more. */
export const killed = 137

/** Returns the id that a provider gives the thing at this address. */
export const idAt = (address: string): string => `id of ${address}`

/** The addresses of what the apply of a run makes, which its plan has said before: an import, and what destroys, make nothing. */
export const wantedOf = ({ spec: { options = {}, pool } }: AgentTask): ReadonlyArray<string> =>
  pool === undefined || options.destroy === true || options.targets !== undefined ? [] : ["a", "b"].map((name) => `${pool.runId}.${name}`)

/** The addresses of what is there already and comes into the state of an import. */
export const importedBy = ({ spec: { options: { targets = [] } = {}, pool, stage } }: AgentTask): ReadonlyArray<string> =>
  pool === undefined || stage === "plan" ? [] : targets

/** A line in which the engine tells of the beginning or the end of a creation (`-json-into` of OpenTofu). */
const event = (type: "apply_start" | "apply_complete" | "apply_errored", addr: string): string =>
  JSON.stringify({
    type,
    hook: { resource: { addr }, action: "create", ...(type === "apply_complete" && { id_key: "id", id_value: idAt(addr) }) }
  })

/** The line in which the engine tells that its provider gave no answer about a creation, as the product knows it from both engines. */
const unansweredAt = (address: string): string =>
  JSON.stringify({ type: "diagnostic", diagnostic: { severity: "error", detail: "Plugin.ApplyResourceChange request failed", address } })

/** What an engine makes, once it has its lock. */
interface Work {
  readonly wanted: ReadonlyArray<string>
  /** The digest of its last state, if these things are in that. */
  readonly digestOf: (made: ReadonlyArray<string>) => string
}

export class Engine {
  readonly task: AgentTask
  readonly podUid: string
  running = true
  interrupts = 0
  exitCode: number | undefined
  /** Whether it still has to write its state when its work is done. */
  writesState = false
  /** The digest of the state with everything that the engine has made; absent until it begins. */
  lastState: string | undefined
  /** The epoch of the engine's lock for each state that it was told is stored, by the state's digest. */
  readonly acknowledged = new Map<string, number>()
  /** Hears what the engine tells, which is lost if nobody reads it. */
  hears: (line: string) => void = () => undefined
  #work: Work = { wanted: [], digestOf: () => "" }
  /** Three for each thing: its beginning is told, it is there, and its end is told. */
  #moments = 0
  /** The exit code of its work; absent until the work is done. */
  #done: number | undefined
  /** Whether its provider has died in the middle of a creation, so that it does not know what came of that. */
  #lostProvider = false
  readonly #heard: Array<() => void> = []
  constructor(task: AgentTask, podUid: string) {
    this.task = task
    this.podUid = podUid
  }
  /** The addresses of all that it has begun to make. */
  get begun(): ReadonlyArray<string> {
    return this.#work.wanted.slice(0, Math.ceil(this.#moments / 3))
  }
  /** The addresses of what is there because of it. */
  get made(): ReadonlyArray<string> {
    return this.#work.wanted.slice(0, Math.floor((this.#moments + 1) / 3))
  }
  /** The addresses of what it knows to be there. */
  get known(): ReadonlyArray<string> {
    return this.#work.wanted.slice(0, Math.floor(this.#moments / 3))
  }
  /** Whether it began something of which it never heard the end. */
  get isUnsure(): boolean {
    return this.exitCode === killed || this.#lostProvider
  }
  /** Calls `tell` when the engine has ended; at once if it already has. */
  onEnd(tell: (code: number) => void): void {
    this.#when(() => this.exitCode, tell)
  }
  /** Calls `tell` when the engine's work is done; at once if it already is. */
  onDone(tell: (code: number) => void): void {
    this.#when(() => this.#done, tell)
  }
  /** Calls `tell` when the engine has something new for its state, or its work is done. */
  onNews(tell: (known: ReadonlyArray<string>) => void): void {
    this.#when(() => this.#done !== undefined || this.known.length > 0 || this.#work.wanted.length === 0 ? this.known : undefined, tell)
  }
  #when<A>(look: () => A | undefined, tell: (now: A) => void): void {
    let told = false
    const again = () => {
      const now = look()
      if (told || now === undefined) return
      told = true
      tell(now)
    }
    this.#heard.push(again)
    again()
  }
  /** Begins to make things; all that it is to make at once if it is to end already. */
  begin(work: Work): void {
    this.#work = work
    this.lastState = work.digestOf([])
    if (this.#done !== undefined) this.#bringToEnd(this.#done)
  }
  /** Comes to the next moment of its work. */
  goOn(): void {
    if (this.running && this.#done === undefined) this.#next()
  }
  #next(): void {
    const address = this.#work.wanted[Math.floor(this.#moments / 3)]
    if (address === undefined) return
    const moment = this.#moments++ % 3
    if (moment === 0) this.hears(event("apply_start", address))
    else if (moment === 1) this.lastState = this.#work.digestOf(this.made)
    else this.hears(event("apply_complete", address))
    this.#tell()
  }
  /** Makes all that is left, or ends with what was begun: a creation that has come to nothing has failed. */
  #bringToEnd(code: number): void {
    const [left, begun = ""] = [this.#moments % 3, this.#work.wanted[Math.floor(this.#moments / 3)]]
    if (code === 0) { while (this.known.length < this.#work.wanted.length) this.#next() }
    else if (left === 1) this.hears(event("apply_errored", begun))
    else if (left === 2) this.#next()
  }
  /** Ends its work in order because its provider dies, if that is in the middle of a creation. */
  loseProvider(): void {
    const address = this.begun.at(-1)
    if (!this.running || this.#done !== undefined || this.#moments % 3 === 0 || address === undefined) return
    this.#lostProvider = true
    this.hears(event("apply_errored", address))
    this.hears(unansweredAt(address))
    this.#done = 1
    this.#tell()
  }
  /** Ends its work with this code, or kills it. */
  end(code: number): void {
    if (code === killed || !this.running) return this.finish(code)
    if (this.#done === undefined) this.#bringToEnd(code)
    this.#done ??= code
    if (this.writesState) this.#tell()
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
