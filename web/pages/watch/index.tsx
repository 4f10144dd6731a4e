export default function Watch() {
  return (
    <div class="view">
      <h1>Watch</h1>
    </div>
  );
}
