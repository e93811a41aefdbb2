import { setFlagsFromString } from 'node:v8'

/** What a function of WebAssembly may run before it is worth optimizing; 1.8 million otherwise. */
const BUDGET = 1_800_000_000

/**
 * Has V8 optimize undici's parser of answers when there is work for it, after some two hundred answers, and not after the
 * first sign-ins: that took 80 ms of CPU while the first requests came in, and up to 10 MB were never given back.
 */
export function optimizeWasmLater(): void {
  setFlagsFromString(`--wasm-tiering-budget=${BUDGET}`)
}
