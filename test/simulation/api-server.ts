// A Kubernetes API server in memory: versions, optimistic concurrency, the CRD's own rules, finalizers, and history with compaction.
// Invariant: it answers as a real one does, which api-server.cluster.test.ts checks; a stored object is never changed in place.
// Used by test/simulation/client for processes, and directly by the parts of the cluster itself.
import { agentTaskOpenApi } from "../../src/core/manifest/installation/crd.ts"
import type { Guard, Selection } from "../../src/kubernetes/client.ts"
import { agentTasks, jobs, type Kind, pods, secrets } from "../../src/kubernetes/kinds.ts"
import {
  keyOf,
  type KubernetesObject,
  type NamespacedName,
  type OwnerReference,
  type Page,
  type Writable
} from "../../src/kubernetes/object.ts"
import { checkOf } from "./custom-resource.ts"
import { same } from "./same.ts"

export interface Change {
  readonly revision: number
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly kind: string
  readonly object: KubernetesObject
  readonly before: KubernetesObject | undefined
}

export type Answer =
  | { readonly code: 200 | 201; readonly object: KubernetesObject }
  | {
    readonly code: 403 | 404 | 409 | 422
    readonly reason: string
    readonly message: string
    readonly causes?: ReadonlyArray<{ readonly field: string; readonly reason: string; readonly message: string }>
  }

type Fields = Readonly<Record<string, unknown>>

/** An object as a client writes it; the server sets the rest of the metadata. */
interface Written extends Writable {
  readonly metadata: Writable["metadata"] & {
    readonly labels?: Fields
    readonly annotations?: Fields
    readonly finalizers?: ReadonlyArray<string>
    readonly ownerReferences?: ReadonlyArray<OwnerReference>
  }
  readonly spec?: unknown
  readonly status?: unknown
}

const checkTask = checkOf(agentTaskOpenApi())
const untouched = { observedGeneration: -1, phase: "Pending" }

/** Returns a UID; as with real ones, their order says nothing. */
const uidOf = (revision: number): string => `uid-${(Math.imul(revision, 0x9e3779b1) >>> 0).toString(36)}`

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value)

const merged = (before: unknown, given: unknown): unknown => {
  if (!isFields(before) || !isFields(given)) return given
  return { ...before, ...Object.fromEntries(Object.entries(given).map(([key, value]) => [key, merged(before[key], value)])) }
}

/** What was copied once. Nobody changes it, so that an object that is written again shares what stayed as it was. */
const copies = new WeakSet<object>()

/** Returns a copy as it comes over the wire: without undefined fields, and with nothing shared that is not a copy itself. */
const plain = <T>(value: T): T => {
  if (typeof value !== "object" || value === null || copies.has(value)) return value
  if (Array.isArray(value)) {
    const items = value.map(plain)
    copies.add(items)
    return items as T
  }
  const fields: Record<string, unknown> = {}
  for (const key in value) if (value[key] !== undefined) fields[key] = plain(value[key])
  copies.add(fields)
  return fields as T
}

/** Returns what was stored before if it is given once more, and otherwise a copy. Most of what is written stays as it was. */
const kept = <T>(before: unknown, given: T): T => same(before, given) ? before as T : plain(given)

const conflict = (kind: Kind<unknown>, { name }: NamespacedName, message: string): Answer => ({
  code: 409,
  reason: "Conflict",
  message: `Operation cannot be fulfilled on ${kind.plural} "${name}": ${message}`
})
const notFound = (kind: Kind<unknown>, { name }: NamespacedName): Answer => ({
  code: 404,
  reason: "NotFound",
  message: `${kind.plural} "${name}" not found`
})
const invalid = (kind: Kind<unknown>, problems: ReadonlyArray<string>, field = "spec"): Answer => ({
  code: 422,
  reason: "Invalid",
  message: `${kind.kind} is invalid: ${problems.join(", ")}`,
  causes: problems.map((message) => ({ field, reason: "FieldValueInvalid", message }))
})

const modified = "the object has been modified; please apply your changes to the latest version and try again"

const isSelected = (selector: string | undefined, valueOf: (key: string) => unknown): boolean =>
  selector === undefined || selector.split(",").every((part) => {
    const [key = "", value] = part.split("=")
    return valueOf(key) === value
  })

export const matches = (object: KubernetesObject, { fieldSelector, labelSelector, namespace }: Selection): boolean =>
  (namespace === undefined || namespace === object.metadata.namespace)
  && isSelected(labelSelector, (key) => object.metadata.labels?.[key])
  && isSelected(fieldSelector, (path) => path.split(".").reduce<unknown>((found, key) => isFields(found) ? found[key] : undefined, object))

export class ApiServer {
  revision = 100
  /** A watch from before this revision gets 410. */
  compacted = 0
  readonly history: Array<Change> = []
  /** Why the server refuses to create Jobs now, or the Secrets with tokens; "nothing" if it does not. */
  refuses: "nothing" | "quota" | "policy" | "quota of Secrets" = "nothing"
  readonly #objects = new Map<string, Map<string, KubernetesObject>>()
  /** All objects of a kind as they are now, once somebody has asked; for whoever looks at all of them after every step. */
  readonly #listed = new Map<string, ReadonlyArray<KubernetesObject>>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  #of(kind: Kind<unknown>): Map<string, KubernetesObject> {
    const found = this.#objects.get(kind.plural) ?? new Map<string, KubernetesObject>()
    this.#objects.set(kind.plural, found)
    return found
  }
  find(kind: Kind<unknown>, name: NamespacedName): KubernetesObject | undefined {
    return this.#of(kind).get(keyOf(name))
  }
  all(kind: Kind<unknown>, selection?: Selection): ReadonlyArray<KubernetesObject> {
    const listed = this.#listed.get(kind.plural) ?? [...this.#of(kind).values()]
    this.#listed.set(kind.plural, listed)
    return selection === undefined ? listed : listed.filter((object) => matches(object, selection))
  }
  /** All objects of all kinds. */
  get everything(): ReadonlyArray<KubernetesObject> {
    return [...this.#objects.values()].flatMap((ofKind) => [...ofKind.values()])
  }
  /** Returns one page in the order of the keys. A real server would read all pages as of the first one. */
  page(
    kind: Kind<unknown>,
    { continue: after = "", limit, ...selection }: Selection & { readonly limit: number; readonly continue?: string | undefined }
  ): Page {
    const left = this.all(kind, selection).map((object) => ({ key: keyOf(object.metadata), object })).filter(({ key }) => key > after)
      .sort((a, b) => a.key < b.key ? -1 : 1)
    return {
      items: left.slice(0, limit).map(({ object }) => object),
      resourceVersion: String(this.revision),
      continue: left.length > limit ? left[limit - 1]?.key : undefined
    }
  }
  compact(): void {
    this.compacted = this.revision
  }
  get time(): string {
    return `${new Date(this.#now()).toISOString().slice(0, 19)}Z`
  }

  #commit(kind: Kind<unknown>, type: Change["type"], object: KubernetesObject): KubernetesObject {
    const key = keyOf(object.metadata)
    const before = this.#of(kind).get(key)
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.revision) } }
    if (type === "DELETED") this.#of(kind).delete(key)
    else this.#of(kind).set(key, stored)
    this.#listed.delete(kind.plural)
    this.history.push({ revision: this.revision, type, kind: kind.plural, object: stored, before })
    return stored
  }

  get(kind: Kind<unknown>, name: NamespacedName): Answer {
    const object = this.find(kind, name)
    return object === undefined ? notFound(kind, name) : { code: 200, object }
  }

  create(kind: Kind<unknown>, given: Written): Answer {
    const { metadata, status: _, ...rest } = plain<Written>(given)
    const { name = "", namespace } = metadata
    if (metadata.resourceVersion !== undefined) {
      return { code: 422, reason: "Invalid", message: "resourceVersion should not be set on objects to be created" }
    }
    if (kind.plural === (this.refuses === "quota of Secrets" ? secrets : jobs).plural && this.refuses !== "nothing") {
      const why = this.refuses === "policy" ? "a policy says no" : `exceeded quota: ${kind.plural}`
      return { code: 403, reason: "Forbidden", message: `${kind.plural} "${name}" is forbidden: ${why}` }
    }
    const isTask = kind.plural === agentTasks.plural
    const object: KubernetesObject = {
      ...rest,
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: {
        ...metadata,
        name,
        uid: uidOf(this.revision + 1),
        resourceVersion: "",
        generation: 1,
        creationTimestamp: this.time
      },
      ...(isTask && { status: untouched }),
      ...(kind.plural === pods.plural && { status: { phase: "Pending" } })
    } as KubernetesObject
    const problems = isTask ? checkTask(object, undefined) : []
    if (problems.length > 0) return invalid(kind, problems)
    if (this.find(kind, { name, namespace }) !== undefined) {
      return { code: 409, reason: "AlreadyExists", message: `${kind.plural} "${name}" already exists` }
    }
    return { code: 201, object: this.#commit(kind, "ADDED", object) }
  }

  /** Stores the object unchecked, as if it were written straight into etcd. */
  plant(kind: Kind<unknown>, object: KubernetesObject): void {
    this.#commit(kind, "ADDED", object)
  }

  #store(kind: Kind<unknown>, before: KubernetesObject, next: KubernetesObject): Answer {
    const problems = kind.plural === agentTasks.plural ? checkTask(next, before) : []
    if (problems.length > 0) return invalid(kind, problems)
    const { deletionTimestamp, finalizers: kept = [] } = before.metadata
    if (deletionTimestamp !== undefined && next.metadata.finalizers?.every((finalizer) => kept.includes(finalizer)) === false) {
      return invalid(kind, ["no new finalizers can be added if the object is being deleted"], "metadata.finalizers")
    }
    if (same(next, before)) return { code: 200, object: before }
    const generation = Number(before.metadata.generation ?? 1) + (same(next["spec"], before["spec"]) ? 0 : 1)
    const changed = { ...next, metadata: { ...next.metadata, generation } }
    const done = changed.metadata.deletionTimestamp !== undefined && (changed.metadata.finalizers ?? []).length === 0
    if (!done) return { code: 200, object: this.#commit(kind, "MODIFIED", changed) }
    this.#commit(kind, "DELETED", before) // watches are told of it as it was stored
    return { code: 200, object: changed }
  }

  #replace(kind: Kind<unknown>, given: Written, next: (before: KubernetesObject) => KubernetesObject): Answer {
    const { name = "", namespace, resourceVersion, uid } = given.metadata
    const before = this.find(kind, { name, namespace })
    if (before === undefined) return notFound(kind, { name })
    if (uid !== undefined && uid !== before.metadata.uid) {
      return conflict(kind, { name }, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`)
    }
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) return conflict(kind, { name }, modified)
    return this.#store(kind, before, next(before))
  }

  update(kind: Kind<unknown>, given: Written): Answer {
    const { metadata: { annotations, finalizers, labels, ownerReferences }, ...rest } = plain<Written>(given)
    return this.#replace(kind, given, (before) => ({
      ...before,
      ...rest,
      metadata: { ...withoutGiven(before.metadata), ...present({ annotations, finalizers, labels, ownerReferences }) },
      ...(kind.plural === agentTasks.plural && before["status"] !== undefined && { status: before["status"] })
    } as KubernetesObject))
  }

  updateStatus(kind: Kind<unknown>, given: Written): Answer {
    return this.#replace(kind, given, (before) => ({ ...before, status: kept(before["status"], given.status) }))
  }

  /** Applies as the only field manager there is, with force. An object that does not exist is created, unless a UID is given. */
  apply(kind: Kind<unknown>, given: Written): Answer {
    const { name = "", namespace, resourceVersion, uid } = given.metadata
    const before = this.find(kind, { name, namespace })
    if (before === undefined) {
      if (uid !== undefined) {
        return conflict(kind, { name }, `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`)
      }
      const { resourceVersion: _, ...metadata } = given.metadata
      return this.create(kind, { ...given, metadata })
    }
    if (uid !== undefined && uid !== before.metadata.uid) {
      return {
        code: 422,
        reason: "Invalid",
        message: "metadata.uid: Invalid value: field is immutable",
        causes: [{ field: "metadata.uid", reason: "FieldValueInvalid", message: "field is immutable" }]
      }
    }
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) return conflict(kind, { name }, modified)
    const { resourceVersion: _, ...metadata } = given.metadata
    return this.#store(kind, before, merged(before, plain({ ...given, metadata })) as KubernetesObject)
  }

  /** Performs a JSON patch of `test` operations and of `add` for top-level fields; changes nothing if a test fails. */
  patch(
    kind: Kind<unknown>,
    name: NamespacedName,
    operations: ReadonlyArray<{ readonly op: string; readonly path: string; readonly value?: unknown }>
  ): Answer {
    const before = this.find(kind, name)
    if (before === undefined) return notFound(kind, name)
    const at = (path: string) => path.split("/").slice(1).reduce<unknown>((found, key) => (found as Fields | undefined)?.[key], before)
    if (operations.some(({ op, path, value }) => op === "test" && !same(at(path), value))) {
      return { code: 422, reason: "Invalid", message: "the server rejected our request due to an error in our request" }
    }
    const put = operations.flatMap(({ op, path, value }) => op === "add" ? [[path.slice(1), plain(value)]] : [])
    return this.#store(kind, before, { ...before, ...Object.fromEntries(put) } as KubernetesObject)
  }

  /** Deletes in the background: what the object owns is collected later. An object with finalizers stays, with a deletion timestamp. */
  remove(kind: Kind<unknown>, name: NamespacedName, { resourceVersion, uid }: Guard = {}): Answer {
    const before = this.find(kind, name)
    if (before === undefined) return notFound(kind, name)
    if (uid !== undefined && uid !== before.metadata.uid) {
      return conflict(kind, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`)
    }
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion) return conflict(kind, name, modified)
    if ((before.metadata.finalizers ?? []).length === 0) return { code: 200, object: this.#commit(kind, "DELETED", before) }
    if (before.metadata.deletionTimestamp !== undefined) return { code: 200, object: before }
    const { metadata } = before
    return {
      code: 200,
      object: this.#commit(kind, "MODIFIED", {
        ...before,
        metadata: { ...metadata, generation: Number(metadata.generation ?? 1) + 1, deletionTimestamp: this.time }
      })
    }
  }
}

const withoutGiven = ({ annotations: _a, finalizers: _f, labels: _l, ownerReferences: _o, ...rest }: KubernetesObject["metadata"]) => rest
/** Returns the fields without the empty ones, which are not stored. */
const present = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) =>
      isFields(value) || Array.isArray(value) ? Object.keys(value).length > 0 : value !== undefined
    )
  )
