export default function Race() {
  return (
    <div class="view">
      <h1>Race</h1>
    </div>
  );
}
