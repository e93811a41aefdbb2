import { type Html, html } from './html.ts'

/** The page's script puts the time that is left, or the reader's own time of day, in the place of the text. */
export function time(at: number, form: 'until' | 'clock'): Html {
  const iso = new Date(at).toISOString()
  const isToday = iso.slice(0, 10) === new Date().toISOString().slice(0, 10)
  const text = `${isToday ? '' : `${iso.slice(0, 10)} `}${iso.slice(11, 19)} UTC`
  return html`<time datetime="${iso}" data-form="${form}">${text}</time>`
}

export function rate(perSecond: number): string {
  if (perSecond === 0) return '0'
  if (perSecond < 0.005) return '< 0.01'
  if (perSecond < 0.1) return perSecond.toFixed(2)
  if (perSecond < 10) return perSecond.toFixed(1)
  return perSecond < 10_000 ? perSecond.toFixed(0) : `${(perSecond / 1000).toFixed(0)}k`
}

/** Rounded so that something never reads as nothing, nor nearly all as all. */
export function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100} %`
  if (share < 0.001) return '< 0.1 %'
  if (share < 0.1) return `${(share * 100).toFixed(1)} %`
  return `${Math.min(99, Math.round(share * 100))} %`
}

export function duration(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`
  if (milliseconds < 1000) return `${milliseconds.toFixed(0)} ms`
  return `${(milliseconds / 1000).toFixed(1)} s`
}
