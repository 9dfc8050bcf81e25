// Drops what was typed at the terminal before a question: nobody had seen the question, so it is no answer.
// Invariant: what is typed once this has returned is left for whoever reads the answer.
// Used by screen.
import { closeSync, constants, openSync, readSync } from "node:fs"

/** More than a terminal keeps. There is a limit, so that a program that types without end holds nothing up. */
const mostReads = 64

/** Reads until a read fails, because nothing is left to read. */
const readAll = (terminal: number): void => {
  const buffer = Buffer.alloc(4096)
  for (let reads = 0; reads < mostReads; reads++) readSync(terminal, buffer)
}

export const dropTyped = (): void => {
  const { stdin } = process
  if (!stdin.isTTY) return
  try {
    const terminal = openSync("/dev/tty", constants.O_RDONLY | constants.O_NONBLOCK) // stdin may be one whose reads wait
    try {
      stdin.setRawMode(true) // or a line without its end would stay, and begin the answer
      readAll(terminal)
    } finally {
      closeSync(terminal)
      stdin.setRawMode(false)
    }
  } catch {
    return // nothing is left, or the terminal cannot be opened, and the question is asked as it is
  }
}
