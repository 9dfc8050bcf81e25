// What each overlay builds, for review: test/golden/overlay-*.yaml, which scripts/golden writes. It needs kustomize, but no API server.
// The CustomResourceDefinition is left out: it is in kustomize/crd as it is.
import { describe, expect, it } from "@effect/vitest"
import { globSync } from "node:fs"
import { basename } from "node:path"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"
import { build } from "./build.ts"

describe("an overlay", () => {
  it.each(globSync("kustomize/overlays/*").sort())("%s is as in its golden file", async (folder) => {
    const objects = (await build(folder)).filter(({ kind }) => kind !== "CustomResourceDefinition")
    await expect(objects.map(manifestYaml).join("---\n")).toMatchFileSnapshot(`../golden/overlay-${basename(folder)}.yaml`)
  })
})
