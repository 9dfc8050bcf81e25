import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"
import { mark, table } from "../../src/generate/files/file.ts"
import { kustomize } from "../../src/generate/kustomize.ts"
import { referenceFiles } from "../../src/generate/reference.ts"
import { valuesFiles } from "../../src/generate/values-schema.ts"

const files = [...kustomize(), ...valuesFiles(), ...referenceFiles()]
const check = () => spawnSync(process.execPath, ["src/generate/main.ts", "--check"], { encoding: "utf8" })

describe("generated files", () => {
  it.each(files)(
    "$path is up to date",
    ({ content, path }) => expect(readFileSync(path, "utf8") === content, "run 'make generate'").toBe(true)
  )

  it.each(files)(
    "$path says at its beginning that it is generated",
    ({ content }) => expect(content.split("\n").slice(0, 2).join("\n")).toContain(mark)
  )

  it("that nothing makes any more are found", () => {
    const left = "docs/no-longer-made.md"
    writeFileSync(left, `<!-- ${mark} -->\n`)
    try {
      const { status, stderr } = check()
      expect([status, stderr]).toEqual([1, expect.stringContaining(`${left} is not up to date`)])
    } finally {
      rmSync(left)
    }
  })
})

describe("YAML", () => {
  it("quotes what an older parser would not read as text", () => {
    expect(manifestYaml({ a: "yes", b: "0755", c: "12:30:00", d: "on", e: "1_000", f: "~", g: "plain" })).toBe(
      `a: "yes"\nb: "0755"\nc: "12:30:00"\nd: "on"\ne: "1_000"\nf: "~"\ng: plain\n`
    )
  })

  it("quotes what kubectl and kustomize would read as a number, though no YAML does", () => {
    expect(manifestYaml(["0B1", "-0o_7", "0X1F", "0b+1", "0_x7", "1e1_", "-_1", "0b", "1.2.3"])).toBe(
      `- "0B1"\n- "-0o_7"\n- "0X1F"\n- "0b+1"\n- "0_x7"\n- "1e1_"\n- "-_1"\n- 0b\n- 1.2.3\n`
    )
  })
})

describe("a table", () => {
  it("keeps a cell on one line and in its column", () =>
    expect(table(["a", "b"], [["1|2", "x\ny"]])).toEqual(["| a | b |", "| --- | --- |", "| 1\\|2 | x y |"]))
})
