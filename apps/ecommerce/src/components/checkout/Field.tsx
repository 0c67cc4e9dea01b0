"use client";

type Props = {
  id: string;
  label: string;
  value: string;
  onChange: (value: string) => void;
  autoComplete?: string;
  error?: string | undefined;
  hint?: string;
};

/** A text field with its label, a hint, and what is wrong with it. */
export function Field({ id, label, value, onChange, autoComplete, error, hint }: Props) {
  const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input id={id} name={id} value={value} onChange={(event) => onChange(event.target.value)} autoComplete={autoComplete}
        aria-invalid={error !== undefined} aria-describedby={described || undefined} maxLength={120} />
      {hint && <p id={`${id}-hint`} className="hint">{hint}</p>}
      {error && <p id={`${id}-error`} className="field-error">{error}</p>}
    </div>
  );
}
