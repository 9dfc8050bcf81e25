// The controller's writes, from the API server's audit log, whose policy leaves out reads and all other users.
// Used by control-plane.ts and the measurements of writes.
import { readFileSync } from "node:fs"

export interface Write {
  readonly verb: string
  /** The resource, with a subresource behind a slash, such as "jobs" or "atasks/status". */
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly code: number
  readonly at: number
}

interface Event {
  readonly verb: string
  readonly requestReceivedTimestamp: string
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string; readonly namespace?: string; readonly name?: string }
  readonly responseStatus?: { readonly code?: number }
}

/** Returns the audit policy: the API server logs what the user changed, without the contents. */
export const auditPolicy = (user: string) => ({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", users: [user], verbs: ["create", "update", "patch", "delete", "deletecollection"] }, { level: "None" }]
})

export const writesIn = (auditLog: string): ReadonlyArray<Write> =>
  readFileSync(auditLog, "utf8").split("\n").filter((line) => line !== "").map((line) => {
    const { objectRef: { name = "", namespace = "", resource = "", subresource } = {}, requestReceivedTimestamp, responseStatus, verb }:
      Event = JSON.parse(line)
    return {
      verb,
      resource: subresource === undefined ? resource : `${resource}/${subresource}`,
      namespace,
      name,
      code: responseStatus?.code ?? 0,
      at: Date.parse(requestReceivedTimestamp)
    }
  })

/** Returns how many writes of each kind there are, such as "300 create jobs, 300 update atasks/status". */
export const summary = (writes: ReadonlyArray<Write>): string =>
  [...Map.groupBy(writes, ({ code, resource, verb }) => `${verb} ${resource}${code >= 400 ? ` (${code})` : ""}`)]
    .map(([what, all]) => `${all.length} ${what}`).join(", ") || "none"
