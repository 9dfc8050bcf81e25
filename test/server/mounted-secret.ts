// A Secret as the kubelet mounts it: the files are links into `..data`, which is a link to the folder with the contents of the moment.
import { Effect } from "effect"
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../temporary-folder.ts"

/** Mounts a Secret with these keys, in a folder that is removed when the scope closes; `put` brings the next contents in one step. */
export const mountedSecret = <Key extends string>(first: Readonly<Record<Key, string>>) =>
  Effect.map(temporaryFolder("secret"), (folder) => {
    let count = 0
    const put = (contents: Readonly<Record<Key, string>>) => {
      const name = `..${count++}`
      mkdirSync(join(folder, name))
      for (const [key, content] of Object.entries<string>(contents)) writeFileSync(join(folder, name, key), content)
      symlinkSync(name, join(folder, "..new"))
      renameSync(join(folder, "..new"), join(folder, "..data"))
    }
    put(first)
    for (const key of Object.keys(first)) symlinkSync(join("..data", key), join(folder, key))
    return { put, folder }
  })
