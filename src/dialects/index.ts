import { azure } from './azure.ts'
import type { Product } from './dialect.ts'
import { googleCloud } from './google-cloud.ts'
import { microsoft365 } from './microsoft365.ts'

export type { Dialect, Grant, Outcome, Product, Tokens, WireAnswer, WireRequest } from './dialect.ts'
export type { SignInAnswer } from './sign-in-answer.ts'

/** The registry: everything that differs between products follows from these entries. */
export const products: readonly Product[] = [azure, microsoft365, googleCloud]
