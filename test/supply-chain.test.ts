// What the program is made of and what it runs in: versions are pinned, digests are checked, and nothing runs by itself.
import { describe, expect, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { parseAllDocuments } from "yaml"

const read = (file: string) => readFileSync(file, "utf8")
const manifest = JSON.parse(read("package.json")) as Readonly<
  Record<"dependencies" | "devDependencies" | "optionalDependencies", Readonly<Record<string, string>>>
>
interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly inBundle?: boolean
  readonly hasInstallScript?: boolean
  readonly license?: string
}
const lockedIn = (file: string) =>
  Object.entries((JSON.parse(read(file)) as { readonly packages: Readonly<Record<string, Locked>> }).packages).filter(([name]) =>
    name !== ""
  )
const locked = lockedIn("package-lock.json")

/** Packages whose install scripts are not run, each with the reason why it works without. */
const scriptsLeftOut = ["node_modules/dprint"] // copies the program from its platform's package, which is locked too; so does its first start

interface Container {
  readonly name: string
  readonly image: string
  readonly securityContext?: Readonly<Record<string, unknown>>
}

/** Returns all containers anywhere in an object. */
const containersIn = (node: unknown): ReadonlyArray<Container> =>
  typeof node !== "object" || node === null
    ? []
    : Object.entries(node).flatMap(([key, value]: [string, unknown]) =>
      key === "containers" || key === "initContainers" ? value as ReadonlyArray<Container> : containersIn(value)
    )

describe("packages", () => {
  it("are asked for in one version each", () => {
    const asked = Object.values({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies })
    expect(asked.filter((version) => !/^\d+\.\d+\.\d+$/u.test(version))).toEqual([])
  })
  it("are locked with their digests, and run nothing when they are installed", () => {
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([name]) => name)).toEqual([])
    expect(locked.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([name]) => name)).toEqual(scriptsLeftOut)
    expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/mu)
    expect(
      read("scripts/packages").match(/^.*\bnpm (?:ci|install|exec)\b.*$/gmu)?.filter((line) => !/npm ci .*--ignore-scripts/u.test(line))
    ).toEqual([])
  })
  it("are installed by an npm that is locked too, on the same Node", () => {
    const tools = lockedIn("scripts/npm/package-lock.json").filter(([, { inBundle }]) => inBundle !== true) // its own archive has the others
    expect(tools.filter(([, { integrity }]) => !integrity?.startsWith("sha512-"))).toEqual([])
    expect(
      tools.filter(([name]) => name.includes("node-linux")).map(([name, { version }]) => [name.slice("node_modules/".length), version])
    )
      .toEqual(Object.entries(manifest.optionalDependencies))
  })
  it("have licences that let us ship them", () => {
    expect(
      [...new Set(locked.map(([, { license }]) => license))].filter((license) =>
        !/^\(?(?:MIT|ISC|0BSD|Unlicense|PSF-2\.0|MPL-2\.0|Apache-2\.0|BSD-[23]-Clause)\b/u.test(license ?? "")
      )
    ).toEqual([])
  })
})

describe("the image of agent-job", () => {
  const lines = read("images/agent-job.Containerfile").split("\n").filter((line) => /^[A-Z]+ /u.test(line))
  it("has no shell to begin with, and starts none", () => {
    expect(lines[0]).toBe("ARG BASE=gcr.io/distroless/cc-debian12")
    expect(lines.filter((line) => /^(?:RUN|ENTRYPOINT|CMD) /u.test(line) && !/^[A-Z]+ \["\//u.test(line))).toEqual([])
    expect(read("images/minimal-rootfs")).toMatch(/apt-get download -qq libc6 libgcc-s1 libstdc\+\+6 ca-certificates /u)
  })
  const files = globSync("images/agent-job*.Containerfile")
  it.each(files)("%s takes the licences along", (file) => expect(read(file)).toMatch(/^COPY .*\bLICENSES\.txt /mu))
  it("is found, and so is that of the runner", () => expect(files.length).toBeGreaterThanOrEqual(2))
  it.each(files)(
    "%s ends as somebody who is not root",
    (file) => expect(read(file).split("\n").filter((line) => line.startsWith("USER ")).at(-1)).toMatch(/^USER [1-9]\d{3}:[1-9]\d{3}$/u)
  )
  it("is run as not root, with nothing to write to, no capability and no way to more", () => {
    const ours = ["kustomize/base/deployment.yaml", "test/golden/install-full.yaml", "test/golden/job.yaml"].flatMap((file) =>
      parseAllDocuments(read(file)).flatMap((document) => containersIn(document.toJS()))
    ).filter(({ image }) => image.startsWith("scalr/agent:"))
    expect(ours.length).toBeGreaterThanOrEqual(4)
    for (const { name, securityContext } of ours) {
      expect([name, securityContext]).toEqual([
        name,
        expect.objectContaining({
          runAsNonRoot: true,
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] }
        })
      ])
    }
  })
})
