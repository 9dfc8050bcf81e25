// The present product and that of an earlier commit, each applied over the other as a person does it, by Kustomize.
// Invariant: the server of both has a folder of its own on the volume, so that what it stored before is neither read nor migrated.
// Used by upgrade.alone.test.ts.
import { spawnSync } from "node:child_process"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join, relative } from "node:path"
import { parse, stringify } from "yaml"
import { isTree, merge, type Tree } from "../../src/schema/document/layers.ts"
import { follow, kubectl, productNamespace } from "./cluster.ts"
import { run } from "./process.ts"
import { required, untilServed } from "./server.ts"
import { configOf, mountConfig, smallPods } from "./values.ts"

const root = join(import.meta.dirname, "../..")
const kept = join(root, ".cache")
const earlierTree = join(kept, "previous")

/** Returns why there is no earlier commit to begin with; undefined: there is one. */
export const noHistory = (): string | undefined => {
  const { status, stderr } = spawnSync(join(root, "scripts/previous"), ["--which"], { encoding: "utf8" })
  return status === 0 ? undefined : stderr.trim().replace("error: ", "")
}

/** A version of the product: its files, its image, and the schema that its server's database has. */
export interface Version {
  readonly tree: string
  readonly image: string
  readonly schema: number
}

const versionOf = async (tree: string, image: string): Promise<Version> => {
  const migrations = await readFile(join(tree, "src/server/store/migrations.ts"), "utf8")
  return { tree, image, schema: Math.max(...[...migrations.matchAll(/^ {2}"(\d{4})_/gmu)].map(([, id]) => Number(id))) }
}

/** Makes the earlier version. Returns it and the present one. */
export const makeVersions = async (): Promise<{ readonly earlier: Version; readonly present: Version }> => {
  const { code, stderr, stdout } = await run(join(root, "scripts/previous"), [])
  if (code !== 0) throw new Error(`scripts/previous ended with ${code}: ${stdout}${stderr}`)
  const image = (await readFile(join(earlierTree, ".cache/agent-job.image"), "utf8")).trim()
  return { earlier: await versionOf(earlierTree, image), present: await versionOf(root, required("AGENT_JOB_IMAGE")) }
}

const nameAndTag = (image: string) => {
  const at = image.lastIndexOf(":")
  return { name: image.slice(0, at), tag: image.slice(at + 1) }
}

/** Returns the values of the installed product with this image for the workers. */
const valuesWith = async (image: string): Promise<Tree> => {
  const installed: unknown = parse(await readFile(join(kept, "install/values.yaml"), "utf8"))
  const { name: repository, tag } = nameAndTag(image)
  const own = { agent: { image: { repository, tag } } }
  return [smallPods, own].reduce<Tree>(merge, isTree(installed) ? installed : {})
}

/** Changes the container of a workload, and has it asked each second whether it is ready, so that no test waits for that. */
const patchOf = (kind: string, part: "controller" | "server", change: Tree) => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { name: `agent-job-${part}`, namespace: productNamespace },
  spec: { template: { spec: { containers: [{ name: part, readinessProbe: { periodSeconds: 1 }, ...change }] } } }
})

export interface Installation {
  readonly version: Version
  /** The folder of the server's data. */
  readonly folder: string
  /** The image of the server, if it is not that of the version. */
  readonly server?: Version
  /** Whether the CRD stays as it is: on the way back it always does. */
  readonly keepsCrd?: boolean
}

const inProduct = (...args: ReadonlyArray<string>) => kubectl(["--namespace", productNamespace, ...args])

/** Applies a directory as scripts/install does: its objects are in two namespaces. */
const apply = async (directory: string) => {
  const flags = ["--server-side", "--force-conflicts", "--field-manager=agent-job-install"]
  const { code, stderr } = await run("kubectl", ["apply", ...flags, "--kustomize", directory])
  if (code !== 0) throw new Error(`kubectl apply of ${directory} ended with ${code}: ${stderr.trim()}`)
}

const untilReady = async () => {
  for (const part of ["deployment/agent-job-controller", "statefulset/agent-job-server"]) {
    await inProduct("rollout", "status", part, "--timeout=300s")
  }
  await untilServed()
}

/** Applies a version, without waiting for it. */
export const begin = async ({ folder, keepsCrd = false, server, version }: Installation): Promise<void> => {
  const directory = join(kept, "upgrade")
  const { name, tag } = nameAndTag(version.image)
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, "values.yaml"), stringify(await valuesWith(version.image)))
  await writeFile(
    join(directory, "kustomization.yaml"),
    stringify({
      resources: [relative(directory, join(version.tree, "kustomize/overlays/standalone"))],
      components: keepsCrd ? [relative(directory, join(root, "kustomize/components/without-crd"))] : [],
      images: [{ name: "scalr/agent", newName: name, newTag: tag }],
      configMapGenerator: [{ name: "agent-job-config", namespace: productNamespace, behavior: "merge", files: ["values.yaml"] }],
      patches: [
        patchOf("Deployment", "controller", {}),
        patchOf("StatefulSet", "server", {
          image: (server ?? version).image,
          volumeMounts: [{ mountPath: "/var/lib/agent-job", subPath: folder }]
        })
      ].map((patch) => ({ patch: stringify(patch) }))
    })
  )
  await apply(directory)
}

/** Applies a version and waits until only that one is left, and ready. */
export const install = async (installation: Installation): Promise<void> => {
  await begin(installation)
  await untilReady()
}

/** Waits until the server of this version has ended with an error, and returns what it said. */
export const refusalOf = async ({ image }: Version): Promise<string> => {
  await follow(
    "the server gives up",
    ["pods", "--field-selector=metadata.name=agent-job-server-0", `--namespace=${productNamespace}`],
    (object) => {
      const { status: { containerStatuses: [server] = [] } } = object as {
        status: { containerStatuses?: ReadonlyArray<{ image: string; restartCount: number }> }
      }
      return server !== undefined && server.image.endsWith(image) && server.restartCount > 0 ? true : undefined
    }
  )
  return inProduct("logs", "agent-job-server-0", "--previous")
}

/** Returns what installs the product as it was, and removes the data of the folder. */
export const keepInstallation = async (folder: string): Promise<() => Promise<void>> => {
  const config = await configOf()
  return async () => {
    await apply(join(kept, "install"))
    await mountConfig(config)
    await untilReady()
    const remove = `fs.rmSync("/var/lib/agent-job/${folder}", { recursive: true, force: true })`
    await inProduct("exec", "agent-job-server-0", "--", "/usr/local/bin/node", "--eval", remove)
  }
}
