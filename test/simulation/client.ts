// The Kubernetes client of one process: every request waits for a step of the schedule, which answers it or makes it fail.
// Answers are read with the product's own code; a watch gets only what the schedule delivers, so a cache can lag for any time.
// Used by test/simulation/controller-process and test/simulation/worker-process.
import { Cause, Duration, Effect, Option, Queue, Stream } from "effect"
import { objectOf, refusal } from "../../src/kubernetes/answer.ts"
import { Kubernetes, type Selection } from "../../src/kubernetes/client.ts"
import { type Call, Conflict, type KubernetesError, TooManyRequests, Unreachable, type Verb } from "../../src/kubernetes/errors.ts"
import { fluxSources, type Kind } from "../../src/kubernetes/kinds.ts"
import type { NamespacedName, WatchEvent } from "../../src/kubernetes/object.ts"
import { type Answer, type ApiServer, type Change, matches } from "./api-server.ts"
import type { Fault, Process } from "./one-thread.ts"

/** An open watch. `#next` is the index in the history of the first change that may still have to be sent. */
export class Watch {
  readonly plural: string
  readonly #server: ApiServer
  readonly #selection: Selection
  readonly #queue: Queue.Queue<WatchEvent, KubernetesError | Cause.Done>
  #next: number

  constructor(
    server: ApiServer,
    plural: string,
    selection: Selection,
    queue: Queue.Queue<WatchEvent, KubernetesError | Cause.Done>,
    next: number
  ) {
    this.plural = plural
    this.#server = server
    this.#selection = selection
    this.#queue = queue
    this.#next = next
  }

  /** Returns what the watch is told of a change; an object that begins to be selected is added, and one that no longer is, deleted. */
  #eventOf(change: Change | undefined): WatchEvent | undefined {
    if (change?.kind !== this.plural) return undefined
    const { before, object, type } = change
    const was = before !== undefined && matches(before, this.#selection)
    const is = type !== "DELETED" && matches(object, this.#selection)
    if (is) return { type: was ? "MODIFIED" : "ADDED", object }
    const { metadata: { resourceVersion } } = object
    return was ? { type: "DELETED", object: { ...before, metadata: { ...before.metadata, resourceVersion } } } : undefined
  }
  /** Whether a change still has to be sent. */
  get behind(): boolean {
    const { history } = this.#server
    while (this.#next < history.length && this.#eventOf(history[this.#next]) === undefined) this.#next++
    return this.#next < history.length
  }
  /** What still has to be sent, oldest first. */
  get ahead(): ReadonlyArray<WatchEvent> {
    return this.#server.history.slice(this.#next).flatMap((change) => this.#eventOf(change) ?? [])
  }
  deliver(count: number): void {
    for (let left = count; left > 0 && this.behind; left--) {
      const event = this.#eventOf(this.#server.history[this.#next++])
      if (event !== undefined) Queue.offerUnsafe(this.#queue, event)
    }
  }
  /** Sends the last events once more, as when a connection is opened again from an older version. */
  repeat(count: number): void {
    const sent = this.#server.history.slice(0, this.#next).flatMap((change) => this.#eventOf(change) ?? []).slice(-count)
    for (const event of sent) Queue.offerUnsafe(this.#queue, event)
  }
  bookmark(): void {
    if (!this.behind) Queue.offerUnsafe(this.#queue, { type: "BOOKMARK", resourceVersion: String(this.#server.revision), whole: false })
  }
  end(error?: KubernetesError): void {
    if (error === undefined) Queue.endUnsafe(this.#queue)
    else Queue.failCauseUnsafe(this.#queue, Cause.fail(error))
  }
}

export interface Client {
  readonly kubernetes: Kubernetes["Service"]
  readonly watches: Set<Watch>
}

/** Makes a client. `reaches` returns true while the process can use the API server, and otherwise what keeps it from that. */
export const clientOf = (
  server: ApiServer,
  process: Pick<Process, "ask">,
  reaches: () => true | "cut off" | "token revoked" = () => true
): Client => {
  const watches = new Set<Watch>()
  const objectName = (
    { kind }: Kind<unknown>,
    { name, namespace }: { readonly name?: string | undefined; readonly namespace?: string | undefined }
  ) => `${kind} ${namespace ?? ""}/${name ?? ""}`
  const unreachable = (call: Call, detail: string) => new Unreachable({ ...call, detail })
  const failed = (call: Call) => {
    const message = "Internal error occurred: etcdserver: request timed out"
    return Effect.fail(refusal(call, 500, JSON.stringify({ code: 500, reason: "InternalError", message }), Option.none(), 0))
  }

  const answered = (call: Call, answer: Answer) =>
    "object" in answer
      ? Effect.succeed(answer.object)
      : Effect.fail(
        refusal(
          call,
          answer.code,
          JSON.stringify({ code: answer.code, reason: answer.reason, message: answer.message, details: { causes: answer.causes ?? [] } }),
          Option.none(),
          0
        )
      )

  const guarded = <A>(call: Call, fault: Fault, perform: () => Effect.Effect<A, KubernetesError>): Effect.Effect<A, KubernetesError> => {
    const reached = reaches()
    if (reached === "cut off" || fault === "not sent") return Effect.fail(unreachable(call, "connection refused"))
    if (reached === "token revoked") return Effect.fail(refusal(call, 401, "", Option.none(), 0))
    if (fault === "too many requests") {
      return Effect.fail(
        new TooManyRequests({ ...call, code: 429, reason: "TooManyRequests", detail: "", retryAfter: Duration.seconds(1) })
      )
    }
    if (fault === "conflict" && call.verb !== "get" && call.verb !== "list" && call.verb !== "create") {
      return Effect.fail(new Conflict({ ...call, code: 409, reason: "Conflict", detail: "the object has been modified" }))
    }
    if (fault === "failed before") return failed(call)
    const done = perform()
    if (fault === "failed after") return failed(call)
    return fault === "lost answer" ? Effect.fail(unreachable(call, "connection reset")) : done
  }

  const ask = <A>(
    verb: Verb,
    object: string,
    perform: (call: Call) => Effect.Effect<A, KubernetesError>,
    poll = false
  ): Effect.Effect<A, KubernetesError> => {
    const call = { verb, object }
    return process.ask(`${verb} ${object}`, (fault) => guarded(call, fault, () => perform(call)), poll)
  }
  const one = <A>(
    verb: Verb,
    kind: Kind<A>,
    name: { readonly name?: string | undefined; readonly namespace?: string | undefined },
    perform: () => Answer
  ) =>
    ask(
      verb,
      objectName(kind, name),
      (call) => Effect.flatMap(answered(call, perform()), (object) => Effect.fromResult(objectOf(kind, call, object))),
      kind.plural === fluxSources.GitRepository.plural // which nobody watches
    )

  const open = (
    kind: Kind<unknown>,
    selection: Selection,
    from: string | undefined,
    call: Call
  ): Effect.Effect<Stream.Stream<WatchEvent, KubernetesError>, KubernetesError> => {
    if (from !== undefined && Number(from) < server.compacted) {
      return Effect.fail(refusal(call, 410, JSON.stringify({ code: 410, reason: "Expired", message: "too old" }), Option.none(), 0))
    }
    return Effect.map(Queue.unbounded<WatchEvent, KubernetesError | Cause.Done>(), (queue) => {
      const next = from === undefined ? server.history.length : server.history.findIndex(({ revision }) => revision > Number(from))
      const watch = new Watch(server, kind.plural, selection, queue, next < 0 ? server.history.length : next)
      if (from === undefined) {
        for (const object of server.all(kind, selection)) Queue.offerUnsafe(queue, { type: "ADDED", object })
        Queue.offerUnsafe(queue, { type: "BOOKMARK", resourceVersion: String(server.revision), whole: true })
      }
      watches.add(watch)
      return Stream.ensuring(Stream.fromQueue(queue), Effect.sync(() => watches.delete(watch)))
    })
  }

  const unused = (method: string) => () => {
    throw new Error(`the simulation has no ${method}`)
  }
  return {
    watches,
    kubernetes: Kubernetes.of({
      namespace: "tasks",
      get: (kind, name) => one("get", kind, name, () => server.get(kind, name)),
      list: (kind, selection) => ask("list", kind.plural, () => Effect.succeed(server.page(kind, { limit: 500, ...selection }))),
      listAll: unused("listAll"),
      watch: (kind, options) =>
        Stream.unwrap(ask("watch", kind.plural, (call) => open(kind, options, options.resourceVersion, call), true)),
      create: (kind, object) => one("create", kind, object.metadata, () => server.create(kind, object)),
      apply: (kind, object) => one("apply", kind, object.metadata, () => server.apply(kind, object)),
      update: (kind, object) => one("update", kind, object.metadata, () => server.update(kind, object)),
      updateStatus: (kind, object) => one("update the status of", kind, object.metadata, () => server.updateStatus(kind, object)),
      patch: (kind, name, operations) => one("patch", kind, name, () => server.patch(kind, name, operations)),
      delete: (kind, name: NamespacedName, { resourceVersion, uid } = {}) =>
        Effect.asVoid(one("delete", kind, name, () => server.remove(kind, name, { uid, resourceVersion }))),
      logs: unused("logs"),
      review: unused("review")
    })
  }
}
