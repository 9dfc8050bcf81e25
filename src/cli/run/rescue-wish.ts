// What is wanted of `agent-job state rescue`, of the five things that its flags may ask for.
// Pure.
// Used by cli/run/state-commands.
import { Data, Effect, Option } from "effect"
import { BadInput } from "../terminal/failure.ts"

export interface RescueFlags {
  readonly use: Option.Option<string>
  readonly keep: boolean
  readonly seen: Option.Option<string>
  readonly import: boolean
  readonly file: Option.Option<string>
  readonly importBlocks: Option.Option<string>
}

export type Wish = Data.TaggedEnum<{
  Look: {}
  /** Settle it with the refused state `use`, or with the stored one, if nothing has changed since `seen`. */
  Settle: { readonly use: Option.Option<string>; readonly seen: Option.Option<string> }
  Import: {}
  Bring: { readonly file: string }
  WriteBlocks: { readonly file: string }
}>
export const Wish = Data.taggedEnum<Wish>()

export const wishOf = ({ file, importBlocks, keep, seen, use, ...given }: RescueFlags): Effect.Effect<Wish, BadInput> => {
  const [wish = Wish.Look(), ...others]: ReadonlyArray<Wish> = [
    ...(Option.isSome(use) ? [Wish.Settle({ use, seen })] : []),
    ...(keep ? [Wish.Settle({ use: Option.none(), seen })] : []),
    ...(given.import ? [Wish.Import()] : []),
    ...(Option.isSome(file) ? [Wish.Bring({ file: file.value })] : []),
    ...(Option.isSome(importBlocks) ? [Wish.WriteBlocks({ file: importBlocks.value })] : [])
  ]
  const refused = (message: string) => Effect.fail(new BadInput({ message }))
  if (others.length > 0) return refused("--use, --keep, --file, --import and --import-blocks exclude each other; give one of them.")
  if (Option.isSome(seen) && wish._tag !== "Settle") return refused("--seen needs --use or --keep; add one of them.")
  return Effect.succeed(wish)
}
