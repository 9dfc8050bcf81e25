// What can go wrong between this program and a Kubernetes API server, one class for each thing a caller may do about it.
// Every message is one sentence: what happened, to which object, what to do next; it never holds a credential.
// Made in this folder, and by cli/doctor/doctor-unknown, controller/reconcile/refusals and controller/reconcile/warnings; matched by tag in all code that uses the client.
import { Data, Duration } from "effect"
import { isOfQuota } from "../schema/kubernetes/quota.ts"

/** Completes "Cannot … Job team/name". */
export type Verb =
  | "get"
  | "list"
  | "watch"
  | "create"
  | "apply"
  | "update"
  | "update the status of"
  | "patch"
  | "delete"
  | "read the logs of"

/** What was attempted: the verb, and the object as a person would name it ("Job team/name", "Pod objects in team"). */
export interface Call {
  readonly verb: Verb
  readonly object: string
}

/** A refusal by the API server: its HTTP code, its machine-readable reason ("AlreadyExists"), and its own words. */
export interface ApiRefusal extends Call {
  readonly code: number
  readonly reason: string
  readonly detail: string
}

/** One field the API server complains about: path ("spec.source"), reason ("FieldValueInvalid"), and its own words. */
export interface Cause {
  readonly field: string
  readonly reason: string
  readonly message: string
}

const cannot = ({ verb, object }: Call, because: string, next: string) => `Cannot ${verb} ${object}: ${because}; ${next}.`

/** Cuts a server's message to one line of at most 600 characters, so that it fits into a sentence. */
const brief = (text: string): string => {
  const line = text.replace(/\s+/gu, " ").replace(/(?<![.\s])[.\s]+$/u, "")
  return line.length > 600 ? `${line.slice(0, 600).replace(/[\uD800-\uDFFF]$/u, "")}…` : line
}

/** Beside what to do about a CRD: an API server's own kinds have none. */
const orCluster = "or upgrade the cluster if the kind is its own"
/** What to do where the API server has an older schema of the object than this program. */
const upgradeSchema = `apply the CRD of the newest version that runs here, ${orCluster}`

/** 404, and every answer to a write guarded by a UID which means that the object with this UID is gone. */
export class NotFound extends Data.TaggedError("NotFound")<
  ApiRefusal & {
    /** Whether the API server serves the custom kind in this version. Where it does not, it answers with a text instead of a Status. */
    readonly isKindServed: boolean
  }
> {
  override get message() {
    return this.isKindServed
      ? cannot(this, `it is not there (${brief(this.detail)})`, "check its name and namespace")
      : cannot(this, `the API server does not serve that kind (${brief(this.detail)})`, `install its CRD, ${orCluster}`)
  }
}

/** 409 for a create: the name is taken, perhaps by an earlier try of the same create. */
export class AlreadyExists extends Data.TaggedError("AlreadyExists")<ApiRefusal> {
  override get message() {
    return cannot(this, "one of this name exists already", "see who owns that one, or choose another name")
  }
}

/** Any other 409: the object changed since it was read. */
export class Conflict extends Data.TaggedError("Conflict")<ApiRefusal> {
  override get message() {
    return cannot(this, `it has changed since it was read (${brief(this.detail)})`, "try again")
  }
}

/** 410, as a response or inside a watch: the resource version or page asked for is no longer kept. */
export class Gone extends Data.TaggedError("Gone")<ApiRefusal> {
  override get message() {
    return cannot(this, "the resource version asked for is no longer kept", "try again")
  }
}

/** 429, or 503 with a Retry-After: nothing was done, and the same request may be sent again after the delay. */
export class TooManyRequests extends Data.TaggedError("TooManyRequests")<ApiRefusal & { readonly retryAfter: Duration.Duration }> {
  override get message() {
    return cannot(this, "the API server is overloaded", `try again in ${Duration.format(this.retryAfter)}`)
  }
}

/** 403, or a 422 that is worded as a denial: RBAC, a quota, an admission policy or a webhook refused the request. */
export class Forbidden extends Data.TaggedError("Forbidden")<ApiRefusal> {
  /**
   * Whether a ResourceQuota refused the request, or is so new that its use is not counted yet. A later try may succeed, because room may
   * come by itself.
   */
  get exceedsQuota(): boolean {
    return isOfQuota(this.detail)
  }
  override get message() {
    return cannot(this, brief(this.detail), this.#next)
  }
  get #next(): string {
    if (this.exceedsQuota) return "free room in the ResourceQuota, or raise it"
    return / because it is being terminated$| while custom resource definition is terminating$/u.test(this.detail)
      ? "see what keeps that from its end, and install it anew once it is gone"
      : "grant it to this identity (Role and RoleBinding), or ask who set the policy"
  }
}

/** 401, even after the credentials were read anew; or no credentials could be read for the request. */
export class Unauthorized extends Data.TaggedError("Unauthorized")<ApiRefusal> {
  override get message() {
    return cannot(this, `the API server does not accept the credentials (${brief(this.detail)})`, "log in again, or renew the token")
  }
}

/** 422: the object breaks its schema or a validation rule, and `causes` names the fields; or a `test` of a patch does not hold. */
export class Invalid extends Data.TaggedError("Invalid")<ApiRefusal & { readonly causes: ReadonlyArray<Cause> }> {
  override get message() {
    const fields = this.causes.map(({ field, message }) => `${field}: ${message}`).join(", ")
    const isOwnWord = this.verb === "update the status of" && this.causes.some(({ reason }) => reason === "FieldValueNotSupported")
    return cannot(this, brief(fields || this.detail), isOwnWord ? upgradeSchema : "correct the named fields")
  }
}

/** Any other 4xx, such as 400 for the logs of a container that has not started. */
export class Rejected extends Data.TaggedError("Rejected")<ApiRefusal> {
  /**
   * Whether the API server could not read the object, for example because of an invalid quantity, so that the same object is never
   * accepted. The message of a webhook's denial begins differently.
   */
  get isUnreadable(): boolean {
    return this.code === 400 && /^\S+ in version "[^"]*" cannot be handled as an? /u.test(this.detail)
  }
  override get message() {
    return cannot(
      this,
      `the API server answered ${this.code} ${this.reason} (${brief(this.detail)})`,
      this.detail.includes("strict decoding error: unknown field ") ? upgradeSchema : "correct the request"
    )
  }
}

/**
 * No answer, a broken one, or a 5xx: a write may or may not have happened, so read before writing again. If `answered`, the detail is the
 * API server's own message. `remedy`: what to do next, where the detail tells.
 */
export class Unreachable extends Data.TaggedError("Unreachable")<
  Call & { readonly detail: string; readonly answered?: boolean; readonly remedy?: string | undefined }
> {
  override get message() {
    return this.answered === true
      ? cannot(
        this,
        `the API server failed (${brief(this.detail)})`,
        this.remedy ?? "see what its answer names, such as a webhook, and try again"
      )
      : cannot(
        this,
        `the API server gave no usable answer (${brief(this.detail)})`,
        this.remedy ?? "check that the cluster is up and reachable"
      )
  }
}

/** The API server answered, but not with an object of the expected shape; the values themselves are left out. */
export class Malformed extends Data.TaggedError("Malformed")<Call & { readonly detail: string }> {
  override get message() {
    return cannot(
      this,
      `the answer has an unexpected shape (${brief(this.detail)})`,
      "check that the installed CRD and this program have the same version"
    )
  }
}

export type KubernetesError =
  | NotFound
  | AlreadyExists
  | Conflict
  | Gone
  | TooManyRequests
  | Forbidden
  | Unauthorized
  | Invalid
  | Rejected
  | Unreachable
  | Malformed

interface Problem {
  readonly problem: string
  readonly next: string
}

/** There is no cluster to talk to, or no way to log in to it; found before any request is sent. */
export class NoCredentials extends Data.TaggedError("NoCredentials")<Problem> {
  override get message() {
    return `${brief(this.problem)}; ${this.next}.`
  }
}

/** The kubeconfig or the context that was named cannot be used as it is. */
export class KubeconfigUnusable extends Data.TaggedError("KubeconfigUnusable")<Problem> {
  override get message() {
    return `${brief(this.problem)}; ${this.next}.`
  }
}
