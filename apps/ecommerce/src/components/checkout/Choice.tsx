"use client";

type Option = { id: string; name: string; note: string; price?: string };
type Props = { legend: string; group: string; options: readonly Option[]; chosen: string; onChoose: (id: string) => void };

/** One of several, as large radio buttons. */
export function Choice({ legend, group, options, chosen, onChoose }: Props) {
  return (
    <fieldset className="choice">
      <legend className="visually-hidden">{legend}</legend>
      {options.map((option) => (
        <label key={option.id}>
          <input type="radio" name={group} value={option.id} checked={option.id === chosen} onChange={() => onChoose(option.id)} />
          <span className="choice-name">{option.name}</span>
          <span className="choice-note">{option.note}</span>
          {option.price && <span className="choice-price">{option.price}</span>}
        </label>
      ))}
    </fieldset>
  );
}
