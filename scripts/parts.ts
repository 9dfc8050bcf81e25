// What the bundle is made of: the packages of which rolldown has put something into it, and the texts of their licences.
// Written beside the bundle, as packages.json and LICENSES.txt, by this plugin of rolldown.config.ts.
import { readdirSync, readFileSync } from "node:fs"
import { join, relative, resolve } from "node:path"
import type { Plugin } from "rolldown"

/** A package, by its key in package-lock.json, such as node_modules/effect. */
export interface Part {
  readonly path: string
  readonly name: string
  readonly version: string
  readonly license: string
}

const root = resolve(import.meta.dirname, "..")

/** What is said of a package with neither a file nor a comment that tells of rights. */
export const noText = "Its archive has no text of this licence."

const isLegal = /^(?:licen[cs]e|notice|copying|copyright)/iu

/** Where this machine's Node is, which runs the bundle and is in the image with it. */
export const nodePath = `node_modules/node-linux-${process.arch}`

const partAt = (path: string): Part => {
  const { license, name, version } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"))
  return { path, name, version, license }
}

/** Returns the package that the module with this id belongs to, if it is not our own. */
const packageOf = (id: string): string | undefined =>
  /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/u.exec(relative(root, id))?.[0]

/** Returns the first comment of a module if it tells of rights, for packages that have no file of their own with them. */
const rightsIn = (id: string): string => /^\s*(?:\/\/[^\n]*\n|\/\*[^]*?\*\/\s*)+/u.exec(readFileSync(id, "utf8"))?.[0].trim() ?? ""

const legalText = (path: string, ids: ReadonlyArray<string>): string => {
  const files = readdirSync(join(root, path)).filter((name) => isLegal.test(name)).sort()
  const texts = files.length > 0
    ? files.map((name) => readFileSync(join(root, path, name), "utf8"))
    : [...new Set(ids.map(rightsIn).filter((text) => /copyright/iu.test(text)))]
  return texts.length === 0 ? noText : texts.map((text) => text.trim()).join("\n\n")
}

const entry = (title: string, license: string, text: string) =>
  `${"=".repeat(80)}\n${title}\nLicence: ${license}\n${"=".repeat(80)}\n\n${text}\n`

export const parts: Plugin = {
  name: "parts",
  generateBundle(_, files) {
    const ids = Object.values(files).flatMap((file) =>
      file.type === "chunk" ? Object.entries(file.modules).filter(([, { renderedLength }]) => renderedLength > 0).map(([id]) => id) : []
    )
    const byPackage = Map.groupBy(ids.filter((id) => packageOf(id) !== undefined), (id) => packageOf(id) ?? "")
    const all = [...byPackage.keys()].sort().map(partAt)
    const self = partAt("")
    const node = partAt(nodePath)
    this.emitFile({ type: "asset", fileName: "packages.json", source: JSON.stringify(all, null, 2) + "\n" })
    this.emitFile({
      type: "asset",
      fileName: "LICENSES.txt",
      source: [
        entry(`${self.name} ${self.version}`, self.license, legalText("", [])),
        entry(`Node.js ${node.version}, which runs it`, node.license, legalText(node.path, [])),
        ...all.map(({ license, name, path, version }) => entry(`${name} ${version}`, license, legalText(path, byPackage.get(path) ?? [])))
      ].join("\n")
    })
  }
}
