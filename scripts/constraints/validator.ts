/** Ajv for draft 2020-12, as a function from text to a complaint. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

export function createValidator(schema: unknown): (text: string) => string | null {
  // -300344.54 is a multiple of .01, but their quotient as a double is 4e-9 away from a whole number.
  const ajv = new Ajv2020({ strict: false, allErrors: false, multipleOfPrecision: 6 });
  // The package's types describe its CommonJS form.
  (formats as unknown as (ajv: Ajv2020) => void)(ajv);
  const validate = ajv.compile(schema as object);
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      return String(error);
    }
    return validate(value) ? null : ajv.errorsText(validate.errors);
  };
}
