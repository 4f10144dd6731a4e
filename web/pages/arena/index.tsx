export default function Arena() {
  return (
    <div class="view">
      <h1>Arena</h1>
    </div>
  );
}
