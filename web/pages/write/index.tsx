export default function Write() {
  return (
    <div class="view">
      <h1>Write</h1>
    </div>
  );
}
