// Writes an overlay for some values, with the command that writes it again in every file.
// Invariant: a secret that the values have in the clear and that is recognised, by name or form, is in no file, or is named to the user.
// Used by cli/commands/overlay.ts and cli/values/migrate-release.ts.
import { Effect, Record, Result } from "effect"
import { serverName } from "../../core/manifest/server-names.ts"
import { type InlineSecret, readersOf, secretsLeft, withoutInlineSecrets } from "../../core/migration/inline-secrets.ts"
import { misreadName } from "../../core/overlay/identity.ts"
import { missingSecret, type Overlay, overlay } from "../../core/overlay/overlay.ts"
import { proxyVariables } from "../../core/resolve/network.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { serverPort } from "../../core/task/places.ts"
import { makeSecret } from "../../core/text/make-secret.ts"
import { shellWord } from "../../core/text/shell-word.ts"
import { shown } from "../../schema/document/explain.ts"
import { difference } from "../../schema/document/layers.ts"
import { defaultValues, parseTrees, type Values } from "../../schema/values/values.ts"
import { usualTaskNamespace } from "../flags/settings.ts"
import { BadInput } from "../terminal/failure.ts"
import type { Contents } from "./base-contents.ts"
import type { Base } from "./base-reference.ts"
import { type Files, overlayFiles } from "./overlay-files.ts"
import { writeFolder } from "./overlay-folder.ts"
import { accountsApart } from "./own-accounts.ts"

export interface Wanted {
  readonly values: Values
  /** Name of the installation. */
  readonly name: string
  readonly namespace: string
  readonly base: Base
  /** What is in the base, over whose layers the values are given. */
  readonly contents: Contents
  readonly out: string
  readonly withoutCrd: boolean
  /** Further files to write beside those of the overlay. */
  readonly more?: Files
}

const again = ({ base, namespace, withoutCrd }: Wanted, name: string): string =>
  `agent-job overlay --values values.yaml --name ${name} --namespace ${namespace}${
    base.chosen ? ` --base ${shellWord(base.reference)}` : ""
  }${withoutCrd ? " --without-crd" : ""} --out .`

/** Returns a hint about where the tasks are, if get, logs and cancel would look for them elsewhere. */
const whereTasksAre = (namespace: string): ReadonlyArray<string> =>
  namespace === usualTaskNamespace
    ? []
    : [`Its AgentTasks are in namespace ${namespace}; get, logs and cancel find them with --namespace ${namespace}.`]

/** Fails if tasks share a namespace over a base that has a policy of one name in each of two: kustomize does not build that. */
const inTwoNamespaces = ({ namespace, taskNamespace }: ResolvedConfig, { closed }: Contents): Effect.Effect<void, BadInput> =>
  closed && namespace === taskNamespace
    ? Effect.fail(
      new BadInput({
        message:
          `The values have the tasks in namespace ${namespace}, that of the controller, and the base closes all egress by policies of the same names in both; give the tasks another one, such as task.namespace: ${namespace}-tasks.`
      })
    )
    : Effect.void

/** Fails if the base makes another namespace than the overlay's: that may be another installation's, and would go with this one. */
const inMadeNamespace = ({ from: { config: made }, to: { config } }: Overlay, { namespaces }: Contents): Effect.Effect<void, BadInput> =>
  namespaces && made.namespace !== config.namespace
    ? Effect.fail(
      new BadInput({
        message:
          `The base makes the namespaces ${made.namespace} and ${made.taskNamespace}, by component namespaces, and this overlay is in ${config.namespace}, so that its removal would delete those, which may be another installation's; name a base without that component ("Other names" in kustomize/README.md).`
      })
    )
    : Effect.void

/** Returns what cannot be written without knowing the server that gives work, or nothing if all can. */
const ofServer = (
  { admissionPolicies, controller, namespace, taskNamespace, taskNetwork }: ResolvedConfig,
  closed: boolean,
  { global }: Values
) => {
  if (taskNetwork.denyPods && !closed) return "the policy of task.networkPolicy.denyPods has to open it"
  if (admissionPolicies !== undefined && namespace === taskNamespace) {
    return "the policies have to keep tasks from the Secret with its token"
  }
  if (controller.pod.securityContext.fsGroup === undefined) return "the controller has to read the file with its token without an fsGroup"
  return Object.keys(proxyVariables(global.proxy, "")).length > 0
    ? "a short name of it must not be asked through global.proxy"
    : undefined
}

/** Fails if the base takes work from a server that could not be read, and what is written depends on it. */
const withoutServer = (config: ResolvedConfig, { closed, unreadPool }: Contents, values: Values): Effect.Effect<void, BadInput> => {
  const why = unreadPool && config.pool === undefined ? ofServer(config, closed, values) : undefined
  return why === undefined
    ? Effect.void
    : Effect.fail(
      new BadInput({
        message:
          `The base takes work from a server by component pool, and which one cannot be read here, but ${why}; give agent.url and agent.tokenExistingSecret.name in the values too.`
      })
    )
}

/** Returns a hint about a server that the overlay has in another namespace, unless work comes from another place than it had. */
const whereServerIs = ({ from, to: { config } }: Overlay, { server, unreadPool }: Contents, url: string): ReadonlyArray<string> =>
  server === "none" || config.namespace === from.config.namespace ||
    (url !== "" && !new RegExp(`^https?://${serverName}\\.${from.config.namespace}(\\.svc|[:/]|$)`, "u").test(url))
    ? []
    : [
      `Its server is in namespace ${config.namespace}, and a new one begins with an empty volume: the states of one elsewhere do not come along (docs/state.md). Set agent.url to its address${
        unreadPool ? ", unless the base has it" : ""
      }: ${server}://${serverName}.${config.namespace}.svc:${serverPort}`
    ]

/** Returns a hint about a base whose server is asked no more, if the values say so: maybe they only have all keys that there are. */
const whoseWork = ({ from, to }: Overlay): ReadonlyArray<string> =>
  from.config.pool === undefined || to.config.pool !== undefined
    ? []
    : [
      "The base takes work from a server, and these values from none, since their agent.url is empty. Leave that key out to go on with the server of the base."
    ]

const misread = (config: ResolvedConfig): Effect.Effect<void, BadInput> => {
  const found = misreadName(config)
  return found === undefined
    ? Effect.void
    : Effect.fail(
      new BadInput({
        message:
          `The ${found.what} of this overlay would be ${found.name}, and kustomize writes that as something else than text where another object refers to it; choose another name (${found.by}).`
      })
    )
}

/** Returns the values with references in place of secrets, and the Secrets to make. Without a secret in the clear the values are unchanged. */
const takenOut = ({ name, values }: Wanted): { readonly values: Values; readonly secrets: ReadonlyArray<InlineSecret> } => {
  const { secrets, values: bare } = withoutInlineSecrets(values, name)
  return { secrets, values: secrets.length === 0 ? values : Result.getOrThrow(parseTrees([difference(defaultValues, bare)])) }
}

/** Returns what to change of variables with `$$`, if there are any. */
const withoutEscapes = (secrets: ReadonlyArray<InlineSecret>): string => {
  const paths = secrets.flatMap(({ data, escaped = [] }) => Object.entries(data).filter(([key]) => escaped.includes(key)))
  return paths.length === 0
    ? ""
    : `, with $ for each $$ in ${paths.map(([, path]) => shown(path)).join(", ")} (Kubernetes reads it so there, but not in a Secret)`
}

/** Returns how to make the Secrets: in the namespace of each Pod that reads them. */
const toMake = (secrets: ReadonlyArray<InlineSecret>, config: ResolvedConfig): ReadonlyArray<string> => {
  if (secrets.length === 0) return []
  const paths = secrets.flatMap(({ data }) => Object.values(data).map(shown))
  return [
    `The secrets in the clear that were recognised, by name or form, are in none of them: ${
      paths.join(", ")
    }. Write each into a file with the name of its key and no line end${
      withoutEscapes(secrets)
    }, and make these Secrets; to one that is there, add the key:`,
    ...secrets.flatMap((secret) =>
      readersOf(secret, config).map((namespace) => `  ${makeSecret(namespace, secret.name, Record.map(secret.data, (_, key) => key))}`)
    )
  ]
}

/** Returns a hint about the secrets that stay in the clear, if there are any. */
const inClear = (values: Values): ReadonlyArray<string> => {
  const left = secretsLeft({ ...values })
  return left.length === 0
    ? []
    : [
      `values.yaml still has secrets in the clear: ${
        left.map(shown).join(", ")
      }. Each is beside a $(NAME), which Kubernetes replaces in no text that a Secret gives; put the whole text into a Secret, and name that in extraEnvFrom, or in a sidecar's valueFrom.`
    ]
}

/** Returns what was written, the namespaces of its objects, and the Secrets that are missing because the values carry their content. */
export const writeOverlay = Effect.fn("writeOverlay")(function*(wanted: Wanted) {
  const { base, contents, more, name, namespace, out, withoutCrd } = wanted
  const { secrets, values } = takenOut(wanted)
  const made = overlay(values, { name, namespace }, { ...contents, withoutCrd: withoutCrd && contents.definition })
  yield* accountsApart(made.to.config)
  yield* misread(made.to.config)
  yield* inTwoNamespaces(made.to.config, contents)
  yield* inMadeNamespace(made, contents)
  yield* withoutServer(made.to.config, contents, values)
  const files = { ...overlayFiles(made, base.reference, again(wanted, made.to.config.name)), ...more }
  yield* writeFolder(out, files)
  const { namespace: ofController, taskNamespace } = made.to.config
  return {
    files: Object.keys(files),
    namespaces: [...new Set([ofController, taskNamespace])],
    secret: missingSecret(made),
    otherSecrets: toMake(secrets, made.to.config),
    hints: [...whereTasksAre(taskNamespace), ...whereServerIs(made, contents, values.agent.url), ...whoseWork(made), ...inClear(values)]
  }
})
