export default function Solve() {
  return (
    <div class="view">
      <h1>Solve</h1>
    </div>
  );
}
