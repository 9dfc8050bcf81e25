// Which fault of the fault proxy meets which request, as data.
// Pure: the same rules and the same requests in the same order give the same faults.
// Used by test/faults/proxy and by every test that sends its requests through it.

/** What a request asks for, in Kubernetes' words. For another server, the resource is the path without its query. */
export interface Asked {
  readonly verb: "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "other"
  readonly method: string
  /** The path with its query. */
  readonly path: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

/** Matches requests that agree in every given field. `path` may be any part of the request's path. */
export interface Match {
  readonly verb?: Asked["verb"] | ReadonlyArray<Asked["verb"]>
  readonly method?: string
  readonly path?: string
  readonly resource?: string
  /** The subresource, or "" for none. */
  readonly subresource?: string
  readonly name?: string
}

export type Fault =
  | { readonly does: "pass" }
  | {
    readonly does: "status"
    readonly code: number
    readonly reason?: string
    readonly message?: string
    readonly headers?: Readonly<Record<string, string>>
  }
  /** The page or version asked for is no longer kept: as an answer, or as the first event of a watch. */
  | { readonly does: "gone"; readonly as: "answer" | "event" }
  | { readonly does: "delay"; readonly millis: number }
  /** The request never arrives. */
  | { readonly does: "dropBefore" }
  /** The request is carried out, and its answer never arrives. */
  | { readonly does: "dropAfter" }
  /** The answer begins and breaks off after so many bytes of its body. */
  | { readonly does: "truncate"; readonly bytes: number }
  /** The answer begins, and after so many bytes of its body nothing more comes; the connection stays open. */
  | { readonly does: "stall"; readonly bytes: number }
  | { readonly does: "drip"; readonly bytes: number; readonly everyMillis: number }
  /** Each event of a watch arrives so many times, and so much later. */
  | { readonly does: "replay"; readonly times: number; readonly lateMillis?: number }
  /** Somebody else writes the object just before, so that the API server itself refuses this write. */
  | { readonly does: "meddle" }
  /** A list is answered as of this version. A watch that begins with all objects is refused, because it cannot be. */
  | { readonly does: "stale"; readonly resourceVersion: string }

export interface Rule {
  readonly match: Match
  /** How many matching requests pass first. Default: 0. */
  readonly after?: number
  /** For how many matching requests the rule holds after those. Default: 1. */
  readonly times?: number
  /** Which share of the requests it holds for meets the fault, chosen by the seed. Default: 1. */
  readonly share?: number
  readonly fault: Fault
}

const versions = /^v\d/u

/** Returns the segments after `api/v1` or `apis/GROUP/VERSION`, or undefined for a path that is none of Kubernetes. */
const objectPath = (segments: ReadonlyArray<string>): ReadonlyArray<string> | undefined =>
  segments[0] === "apis" ? segments.slice(3) : segments[0] === "api" && versions.test(segments[1] ?? "") ? segments.slice(2) : undefined

const verbOf = (method: string, named: boolean, watches: boolean): Asked["verb"] => {
  switch (method) {
    case "GET":
      return named ? "get" : watches ? "watch" : "list"
    case "POST":
      return "create"
    case "PUT":
      return "update"
    case "PATCH":
      return "patch"
    case "DELETE":
      return "delete"
    default:
      return "other"
  }
}

/** Returns the name of the object in the body of a create. */
const nameIn = (body: string): string => {
  try {
    return String(JSON.parse(body).metadata.name)
  } catch {
    return ""
  }
}

export const askedOf = (method: string, path: string, body = ""): Asked => {
  const url = new URL(path, "http://any")
  const found = objectPath(url.pathname.split("/").slice(1).map(decodeURIComponent))
  if (found === undefined) return { verb: "other", method, path, resource: url.pathname, subresource: "", namespace: "", name: "" }
  const [namespace, [resource = "", name = "", subresource = ""]] = found[0] === "namespaces" && found.length > 2
    ? [found[1] ?? "", found.slice(2)]
    : ["", found]
  return {
    verb: verbOf(method, name !== "", url.searchParams.get("watch") === "true"),
    method,
    path,
    resource,
    subresource,
    namespace,
    name: name || (method === "POST" ? nameIn(body) : "")
  }
}

const meets = (asked: Asked, { path, verb, ...exact }: Match): boolean =>
  (verb === undefined || [verb].flat().includes(asked.verb)) &&
  (path === undefined || asked.path.includes(path)) &&
  (exact.method === undefined || exact.method === asked.method) &&
  (exact.resource === undefined || exact.resource === asked.resource) &&
  (exact.subresource === undefined || exact.subresource === asked.subresource) &&
  (exact.name === undefined || exact.name === asked.name)

/** Returns a generator of numbers from 0 to 1 that depend on the seed alone. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** Returns what chooses the fault of each request: that of the first rule that matches and is not used up. */
export const script = (seed: number) => {
  let rules: Array<{ readonly rule: Rule; met: number }> = []
  const next = random(seed)
  return {
    replace: (replacement: ReadonlyArray<Rule>): void => {
      rules = replacement.map((rule) => ({ rule, met: 0 }))
    },
    faultOf: (asked: Asked): Fault => {
      for (const entry of rules) {
        const { after = 0, fault, match, share = 1, times = 1 } = entry.rule
        if (!meets(asked, match) || entry.met >= after + times) continue
        entry.met++
        if (entry.met > after && (share >= 1 || next() < share)) return fault
      }
      return { does: "pass" }
    },
    /** Reports whether every rule is used up. */
    isOver: (): boolean => rules.every(({ met, rule: { after = 0, times = 1 } }) => met >= after + times)
  }
}
