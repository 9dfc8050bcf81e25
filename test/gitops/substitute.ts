// What Flux does to each object after the build: `${name}` becomes the cluster's setting or the default, and `$${` a plain `${`.
// Without setting and default it throws, as Flux from 2.9 on (strict). An object that is marked `substitute: disabled` stays as it is.
// Used by the tests beside it and of test/kustomize.
import { parse } from "yaml"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"
import type { Built } from "../kustomize/build.ts"

export type Settings = Readonly<Record<string, string>>

const disabled = (object: Built): boolean =>
  Object.entries(object.metadata.annotations ?? {}).some(([name, value]) =>
    name === "kustomize.toolkit.fluxcd.io/substitute" && value === "disabled"
  )

export const substitute = (settings: Settings) => (object: Built): Built =>
  disabled(object) ? object : parse(
    manifestYaml(object).replaceAll(/\$(\$\{)|\$\{(\w+)(?::=([^}]*))?\}/gu, (_, escaped?: string, name = "", otherwise?: string) => {
      const value = escaped ?? settings[name] ?? otherwise
      if (value === undefined) throw new Error(`variable not set (strict mode): "${name}" in ${object.kind} ${object.metadata.name}`)
      return value
    })
  ) as Built
