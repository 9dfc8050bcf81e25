// What component pool of a base takes its work from: the server and the Secret that literals of the ConfigMap agent-job-pool name.
// Pure. What is in a file or in the environment, and what Flux replaces later, is not read.
// Used by cli/values/base-contents.
import { Result } from "effect"
import { serverName, serverSecrets } from "../../core/manifest/server-names.ts"
import { type ShippedComponent, shippedRelease } from "../../core/overlay/shipped.ts"
import { serverPort } from "../../core/task/places.ts"
import { parseTrees } from "../../schema/values/values.ts"

/** The inputs of component pool that were read, by their key. */
export type Inputs = Readonly<Record<string, string>>

type List = ReadonlyArray<string> | null | undefined

/** A generator of a ConfigMap, as a kustomization has it. */
export interface Generator {
  readonly name?: string
  readonly env?: string | null
  readonly envs?: List
  readonly files?: List
  readonly literals?: List
}

/** The inputs in overlay standalone: its own server, and the Secret that this reads too. */
export const inputsOfStandalone: Inputs = {
  url: `http://${serverName}.${shippedRelease.namespace}.svc:${serverPort}`,
  secret: serverSecrets.pool
}

/** Returns key and value of a literal, of which kustomize takes the quotes away. */
const keyAndValue = (literal: string): readonly [string, string] => {
  const end = literal.indexOf("=")
  return [literal.slice(0, end), literal.slice(end + 1).replace(/^(["'])(.*)\1$/su, "$2")]
}

/** Returns the inputs that a kustomization with these generators gives, over those of what it lists. */
export const inputsOver = (below: Inputs, generators: ReadonlyArray<Generator>): Inputs =>
  generators.filter(({ name }) => name === "agent-job-pool").reduce(
    (inputs, { env, envs, files, literals }) => ({
      ...[env, envs, files].flat().every((_) => _ === undefined || _ === null) ? inputs : {},
      ...Object.fromEntries((literals ?? []).map(keyAndValue))
    }),
    below
  )

/** Returns component pool with what these inputs make of it, or nothing if they are not all known. */
export const poolOf = ({ secret, url }: Inputs): ShippedComponent | undefined => {
  if (url === undefined || secret === undefined || `${url}${secret}`.includes("${")) return undefined
  const layer = { agent: { url, tokenExistingSecret: { name: secret } } }
  return url !== "" && Result.isSuccess(parseTrees([layer])) ? { name: "pool", layer } : undefined
}
