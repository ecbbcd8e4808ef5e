#version 330
in vec3 in_position;
in vec3 in_normal;
in vec3 in_cloth;      // around and down in metres of cloth; how open to the surroundings
in float in_trim;      // 1 on the collar's rib
uniform mat4 to_clip;
out vec3 position, normal, cloth;
out float trim;
void main() {
    position = in_position; normal = in_normal; cloth = in_cloth; trim = in_trim;
    gl_Position = to_clip * vec4(in_position, 1.0);
}
