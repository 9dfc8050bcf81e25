// Judges what is installed: the definition, the admission policies, the rights of the accounts, Pod Security and the worker's image.
// Used by cli/doctor/doctor-objects.
import { Option } from "effect"
import { controllerName } from "../manifest/controller-names.ts"
import { takenIdentities } from "../manifest/own-objects.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Check, check, checkNames } from "./check.ts"
import type { Comparison } from "./crd-growth.ts"

/** How many differences of a definition are named. */
const namedDifferences = 3

const named = (differences: ReadonlyArray<string>): string =>
  [
    differences.slice(0, namedDifferences).join("; "),
    ...(differences.length > namedDifferences ? [`and ${differences.length - namedDifferences} more`] : [])
  ].join(", ")

/** What to do about something that is being deleted, and that the tasks in it keep. */
const leaving = "is being deleted, and stays until its tasks are let go (docs/uninstall.md)"

/**
 * Returns the check of the CustomResourceDefinition, from its comparison with this program's own. A newer one has more, and lacks nothing;
 * which of two texts of a rule is the newer one does not show.
 */
export const definition = (found: Option.Option<Comparison & { readonly isLeaving: boolean }>): Check => {
  const say = check(checkNames.definition)
  const next = "apply the kustomize/crd of the newest version that runs here"
  return Option.match(found, {
    onNone: () => say("failed", "atasks.scalr.io is not there; apply kustomize/crd"),
    onSome: ({ isLeaving, lacks, otherRules }) => {
      if (isLeaving) return say("failed", `atasks.scalr.io ${leaving}; once it is gone, apply kustomize/crd`)
      if (lacks.length > 0) return say("failed", `atasks.scalr.io lacks what this program needs (${named(lacks)}); ${next}`)
      return otherRules.length > 0
        ? say("warning", `another rule for: ${named(otherRules)}; ${next}`)
        : say("ok", "has all that this program needs; one that is newer stays as it is")
    }
  })
}

/** Returns the check of the admission policies. `missing` and `weaker` are policies and bindings, by kind and name. */
export const admission = (
  config: ResolvedConfig,
  { missing, weaker }: { readonly missing: ReadonlyArray<string>; readonly weaker: ReadonlyArray<string> }
): Check => {
  const say = check(checkNames.admission)
  if (config.admissionPolicies === undefined) {
    return say("warning", "are not asked for; give admissionPolicies.enabled: true, or component admission")
  }
  if (missing.length > 0) return say("failed", `${missing.join(", ")} are not there; apply component admission`)
  return weaker.length > 0
    ? say("failed", `${weaker.join(", ")} say something else than these values; apply the installation again`)
    : say("ok", "are there, and say what these values say")
}

/** What was found of an account's rights. */
export interface Rights {
  readonly account: string
  /** What no role grants though it should, in words. */
  readonly lacking: ReadonlyArray<string>
  /** What is granted though it must not be, in words. */
  readonly excess: ReadonlyArray<string>
}

const those = (found: ReadonlyArray<Rights>, which: "excess" | "lacking", may: string): string =>
  found.flatMap((of) => of[which].length === 0 ? [] : [`${of.account} ${may} ${of[which].join(", ")}`]).join("; ")

/** Returns the check of the rights of some accounts, which are at least one. */
export const rights = (
  name: typeof checkNames.rightsOfController | typeof checkNames.rightsOfTasks,
  found: ReadonlyArray<Rights>
): Check => {
  const say = check(name)
  const [excess, lacking] = [those(found, "excess", "may"), those(found, "lacking", "may not")]
  if (excess !== "") return say("failed", `${excess}, which nothing here grants; find the role that does, and take it away`)
  if (lacking !== "") return say("failed", `${lacking}; apply the roles again`)
  const accounts = found.map(({ account }) => account).join(", ")
  return say(
    "ok",
    `${accounts} ${found.length === 1 ? "has" : "have"} the rights of docs/rbac.md, and may neither get Secrets nor run commands in Pods`
  )
}

/** Returns the check that the accounts of tasks are there. `missing` are the names of those that are not. */
export const accountsOfTasks = (config: ResolvedConfig, missing: ReadonlyArray<string>): Check => {
  const say = check(checkNames.accountsOfTasks)
  const { taskNamespace } = config
  const [taken] = takenIdentities(config)
  if (taken !== undefined) return say("failed", taken.message)
  return missing.length === 0 ? say("ok", `are all in namespace ${taskNamespace}`) : say(
    "failed",
    `${missing.join(", ")} ${
      missing.length === 1 ? "is" : "are"
    } not in namespace ${taskNamespace}, and no task starts with an account that is missing; make it where task.identities says create: false, otherwise apply the installation again`
  )
}

export const podSecurity = (
  namespace: string,
  found: Option.Option<{ readonly isLeaving: boolean; readonly labels: Readonly<Record<string, string>> }>
): Check => {
  const say = check(checkNames.podSecurity)
  if (Option.isNone(found)) return say("failed", `namespace ${namespace} is not there; apply the installation again`)
  if (found.value.isLeaving) return say("failed", `namespace ${namespace} ${leaving}; once it is gone, apply the installation again`)
  const level = found.value.labels["pod-security.kubernetes.io/enforce"] ?? "privileged"
  return level === "restricted"
    ? say("ok", "restricted is enforced")
    : say(
      "warning",
      `${level} is enforced; label namespace ${namespace} with pod-security.kubernetes.io/enforce=restricted unless values of yours need more`
    )
}

/** Returns the tag of an image, or undefined where it has a digest alone, or neither. */
const tagOf = (image: string): string | undefined => /:([^/:]+)$/u.exec(image.replace(/@.*$/u, ""))?.[1]

const digestOf = (image: string): string | undefined => image.split("@")[1]

/** Returns what tells the versions of two images apart: their digests if both have one, since these alone count then, otherwise their tags. */
const versionsOf = (...images: readonly [string, string]) => {
  const [one, other] = images.map(digestOf)
  return one === undefined || other === undefined
    ? { kind: "tag", versions: images.map(tagOf) }
    : { kind: "digest", versions: [one, other] }
}

/** Returns the check of the worker's image, which comes with the values, beside that of the controller, which its Deployment has. */
export const workerImage = (config: ResolvedConfig, controller: Option.Option<string>): Check => {
  const say = check(checkNames.workerImage)
  const { namespace, task: { worker: { image } } } = config
  return Option.match(controller, {
    onNone: () =>
      say("unknown", `there is no Deployment ${namespace}/${controllerName(config)} with a container "controller" to compare it with`),
    onSome: (of) => {
      const { kind, versions: [own, its] } = versionsOf(image, of)
      if (own === undefined || its === undefined) {
        return say(
          "unknown",
          `is ${image}, and the controller's is ${of}; give both a tag, so that one sees whether they are of one version`
        )
      }
      return own === its
        ? say("ok", `is ${image}, of the same ${kind} as the controller's`)
        : say(
          "warning",
          `is ${image}, and the controller's is ${of}, so they may be of different versions; give the values (agent.image.tag) and the Deployment the same ${kind}`
        )
    }
  })
}
