// Our containers as the values give them, and what each has of resources and security, with the key where that stands.
// Used by schema/values/value-rules and schema/values/pod-rules, for rules that hold for each of them.
import type { Contradiction } from "./contradiction.ts"
import type { Sections } from "./value-sections.ts"

type Key = Contradiction["path"]
type Context = Sections["controller"]["securityContext"]

/** One of our containers. What its own section leaves empty comes from `agent`, except for the runner. */
interface Container {
  readonly path: Key
  readonly given: Pick<Sections["controller"], "resources" | "securityContext">
  readonly ofAgent: boolean
  readonly pod: Sections["controller"]["podSecurityContext"]
  readonly userNamespace: boolean
}

const containersOf = ({ controller, task }: Sections): ReadonlyArray<Container> => {
  const ofController = { pod: controller.podSecurityContext, userNamespace: false }
  const ofTask = { pod: task.podSecurityContext, userNamespace: task.userNamespaces }
  return [
    { path: ["controller"], given: controller, ofAgent: true, ...ofController },
    { path: ["task", "worker"], given: task.worker, ofAgent: true, ...ofTask },
    { path: ["task", "runner"], given: task.runner, ofAgent: false, ...ofTask }
  ]
}

export const resourcesOf = (values: Sections) =>
  containersOf(values).map(({ given: { resources }, path }) => ({ path: [...path, "resources"], resources }))

const contextAt = (path: Key, { securityContext }: { readonly securityContext: Context }) => ({
  path: [...path, "securityContext"],
  context: securityContext
})

/** Returns the security contexts as they are given, that of `agent` too. */
export const contextsOf = (values: Sections) => [
  contextAt(["agent"], values.agent),
  ...containersOf(values).map(({ given, path }) => contextAt(path, given))
]

const isEmpty = (context: Context): boolean => Object.keys(context).length === 0

/** Returns a container's own security context, or the agent's if that is empty. */
export const orAgents = (own: Context, agent: Sections["agent"]): Context => isEmpty(own) ? agent.securityContext : own

/** Returns the security contexts that our containers have, each with its Pod's: what it does not say comes from there. */
export const contextsInEffect = (values: Sections) =>
  containersOf(values).map(({ given, ofAgent, path, pod, userNamespace }) => ({
    ...(ofAgent && isEmpty(given.securityContext) ? contextAt(["agent"], values.agent) : contextAt(path, given)),
    pod,
    userNamespace
  }))
