// Writes every generated file anew. With --check it writes nothing, and fails if a file would have changed.
// Invariant: what it writes depends on the code alone. A file with our mark that no generator makes any more is removed.
// Run by scripts/generate and scripts/verify.
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { componentsTable } from "./components.ts"
import { type GeneratedFile, mark } from "./files/file.ts"
import { kustomize } from "./kustomize.ts"
import { referenceFiles } from "./reference.ts"
import { valuesFiles, valuesTable } from "./values-schema.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const read = (path: string): string => existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : ""

/**
 * Returns a file that people write, with new lines between the two markers of its generated part. Returns nothing if the file has no
 * markers.
 */
const within = (path: string, name: string, lines: ReadonlyArray<string>): ReadonlyArray<GeneratedFile> => {
  const [begin, end] = [`<!-- ${name}: generated -->`, `<!-- /${name} -->`]
  const text = read(path)
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) return []
  return [{ path, content: `${text.slice(0, from)}${begin}\n${lines.join("\n")}\n${text.slice(to)}` }]
}

const readmes = (): ReadonlyArray<
  GeneratedFile
> => [...within("README.md", "values", valuesTable()), ...within("kustomize/README.md", "components", componentsTable())]

/** Returns the generated files that no generator makes any more. */
const abandoned = (files: ReadonlyArray<GeneratedFile>): ReadonlyArray<string> =>
  globSync("{docs,kustomize,schemas}/**/*.{json,md,yaml}", { cwd: root })
    .filter((path) => !files.some((_) => _.path === path) && read(path).slice(0, 200).includes(mark)).sort()

const files = [...kustomize(), ...valuesFiles(), ...referenceFiles(), ...readmes()]
const changed = files.filter(({ content, path }) => read(path) !== content)
const gone = abandoned(files)

if (process.argv.includes("--check")) {
  for (const path of [...changed.map(({ path }) => path), ...gone]) console.error(`${path} is not up to date`)
  if (changed.length + gone.length > 0) {
    console.error("error: generated files are not up to date; run 'make generate' and commit what it changes")
    process.exitCode = 1
  }
} else {
  for (const { content, path } of changed) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
    console.log(`wrote ${path}`)
  }
  for (const path of gone) {
    rmSync(join(root, path))
    console.log(`removed ${path}`)
  }
}
